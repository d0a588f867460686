// A jest transformer over Node's own type stripping: positions stay as they are, so no source map is needed.
import { stripTypeScriptTypes } from 'node:module';

const transformer = {
  process: (source) => ({ code: stripTypeScriptTypes(source) }),
};

export default transformer;
