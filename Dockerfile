# Postern's image: one Node, the compiled program, its production dependencies; no shell, no npm. docs/operations.md says how to run it.
# Mount the configuration at /app/postern.yaml, secrets as files, the built app where spa.directory says; nothing is ever written.

FROM node:24.21.0-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
# A third of what packages bring is for compilers and debuggers.
RUN find node_modules -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' \) -delete

FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json ./
RUN npm ci --ignore-scripts
COPY src src
RUN node node_modules/typescript/bin/tsc -p . --noEmitOnError --sourceMap false

# The C library that Node needs, authorities' certificates, time zones: and nothing that could be started in it but Node.
FROM gcr.io/distroless/cc-debian13:nonroot
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Postern" \
  org.opencontainers.image.description="A backend-for-frontend proxy for single-page apps" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.base.name="gcr.io/distroless/cc-debian13:nonroot"
ENV NODE_ENV=production
# Half of the container's memory limit. By itself Node allows a heap of 259 MB in a container of 128 MB.
ENV NODE_OPTIONS=--max-old-space-size-percentage=50
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
# A number, so that Kubernetes' runAsNonRoot can tell; the files above belong to root, and any other user will do as well.
USER 65532:65532
EXPOSE 8080
# Asks the operations listener on its default port; where `operations.listen` names another, override it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "require('http').get('http://127.0.0.1:9090/livez', (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "dist/main.js", "serve"]
