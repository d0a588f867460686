# Postern's image. Mount the configuration at /app/postern.yaml, secrets as files, the built app where spa.directory says:
#   docker run -p 8080:8080 -v ./postern.yaml:/app/postern.yaml:ro -v ./secrets:/run/secrets:ro -v ./app:/srv/app:ro postern
# HEALTHCHECK asks the operations listener on its default port; where `operations.listen` names another, override it.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json ./
RUN npm ci --ignore-scripts
COPY src src
RUN node node_modules/typescript/bin/tsc -p . --noEmitOnError

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production
# Nothing is installed from here on, so that nothing in the running image can install either.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
    /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-*
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
# A number, so that Kubernetes' runAsNonRoot can tell; the files above belong to root and stay read-only for it.
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9090/livez').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js", "serve"]
