{{- define "postern.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "postern.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else -}}
{{- $name := include "postern.name" . -}}
{{ (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 45 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "postern.selectorLabels" -}}
app.kubernetes.io/name: {{ include "postern.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: proxy
{{- end }}

{{/* Labels of an object. Takes the root and the component: dict "root" . "component" "proxy" */}}
{{- define "postern.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "postern.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The reference of an image. Takes the root, the image's values and a tag for want of one. */}}
{{- define "postern.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .tag }}{{ end }}
{{- end }}

{{- define "postern.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "postern.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "postern.configMapName" -}}
{{ .Values.existingConfigMap.name | default (include "postern.fullname" .) }}
{{- end }}

{{- define "postern.sessionKeySecretName" -}}
{{ include "postern.fullname" . }}-session-key
{{- end }}

{{/* The port at the end of host:port. */}}
{{- define "postern.portOf" -}}
{{ regexFind "[0-9]+$" . }}
{{- end }}

{{- define "postern.httpPort" -}}
{{- if .Values.existingConfigMap.name -}}
{{ .Values.existingConfigMap.ports.http }}
{{- else -}}
{{ include "postern.portOf" (.Values.config.listen | default "0.0.0.0:8080") }}
{{- end -}}
{{- end }}

{{- define "postern.operationsPort" -}}
{{- if .Values.existingConfigMap.name -}}
{{ .Values.existingConfigMap.ports.operations }}
{{- else -}}
{{ include "postern.portOf" (dig "operations" "listen" nil .Values.config | default "127.0.0.1:9090") }}
{{- end -}}
{{- end }}

{{/* The port of forwardAuth.listen, or nothing. */}}
{{- define "postern.forwardAuthPort" -}}
{{- if .Values.existingConfigMap.name -}}
{{ with .Values.existingConfigMap.ports.forwardAuth }}{{ . }}{{ end }}
{{- else -}}
{{- with dig "forwardAuth" "listen" "" .Values.config }}{{ include "postern.portOf" . }}{{ end -}}
{{- end -}}
{{- end }}

{{/* A duration such as 500ms, 30s or 2m in whole seconds. */}}
{{- define "postern.seconds" -}}
{{- $unit := dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{ mulf (regexFind "^[0-9]+" .) (get $unit (regexFind "[a-z]+$" .)) | ceil | int }}
{{- end }}

{{/* What Kubernetes waits before it tells a container to end, in seconds. */}}
{{- define "postern.preStopSeconds" -}}
{{ .Values.preStop.sleepSeconds | default (dig "preStop" "sleep" "seconds" 0 .Values.lifecycle) | int }}
{{- end }}

{{/* A quantity as text: numbers come from YAML as 5.36870912e+08. */}}
{{- define "postern.quantity" -}}
{{ kindIs "string" . | ternary . (int64 . | toString) }}
{{- end }}

{{/* A quantity of memory such as 512Mi or 1G, as text, in whole MiB; empty for a unit that is not known here. */}}
{{- define "postern.mebibytes" -}}
{{- $units := dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 -}}
{{- $units = merge $units (dict "T" 1000000000000 "Ti" 1099511627776 "P" 1000000000000000 "Pi" 1125899906842624) -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $unit := trimPrefix $number . -}}
{{- if and $number (hasKey $units $unit) -}}
{{ divf (mulf $number (get $units $unit)) 1048576 | floor | int64 }}
{{- end -}}
{{- end }}

{{/* The file that Postern gets: `config`, and where Valkey is. */}}
{{- define "postern.configText" -}}
{{ toYaml .Values.config }}
{{- if .Values.valkey.enabled }}
redis:
  url: redis://{{ include "postern-valkey.fullname" .Subcharts.valkey }}:6379/0
  password: { file: /run/secrets/postern/valkey-password }
{{- end }}
{{- end }}

{{/* Whether a folder with secrets is mounted; empty for no. */}}
{{- define "postern.hasSecrets" -}}
{{- if or .Values.secrets.existingSecrets .Values.secrets.createSessionKey .Values.valkey.enabled }}yes{{ end -}}
{{- end }}

{{- define "postern.publicHost" -}}
{{ (urlParse (.Values.config.publicUrl | default "")).host | splitList ":" | first }}
{{- end }}

{{/* The ports that the configuration leads to, as JSON: a URL's own, or that of its scheme. */}}
{{- define "postern.egressPorts" -}}
{{- $config := .Values.config -}}
{{- $urls := list (dig "provider" "issuer" "" $config) (dig "spa" "upstream" "" $config) -}}
{{- range $config.routes }}{{ $urls = append $urls .upstream }}{{ end -}}
{{- with dig "redis" "url" "" $config }}{{ if kindIs "string" . }}{{ $urls = append $urls . }}{{ end }}{{ end -}}
{{- $ports := .Values.networkPolicy.extraEgressPorts -}}
{{- if .Values.valkey.enabled }}{{ $ports = append $ports 6379 }}{{ end -}}
{{- range $url := $urls -}}
{{- if and $url (not (hasPrefix "unix:" $url)) -}}
{{- $authority := (urlParse $url).host -}}
{{- $named := regexFind ":[0-9]+$" $authority | trimPrefix ":" -}}
{{- $default := dict "http" 80 "https" 443 "redis" 6379 "rediss" 6379 -}}
{{- $ports = append $ports (int ($named | default (get $default (urlParse $url).scheme))) -}}
{{- end -}}
{{- end -}}
{{- range concat (dig "redis" "sentinel" "nodes" (list) $config) (dig "redis" "cluster" "nodes" (list) $config) -}}
{{- $ports = append $ports (int (include "postern.portOf" .)) -}}
{{- end -}}
{{- $unique := list -}}
{{- range $ports }}{{ $unique = append $unique (int .) }}{{ end -}}
{{ $unique | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Whether more than one pod may run at a time; empty for no. */}}
{{- define "postern.isReplicated" -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 }}yes{{ end -}}
{{- else if gt (int .Values.replicaCount) 1 }}yes{{ end -}}
{{- end }}

{{/* How a container runs Postern: volumes and environment that the proxy and `helm test` share. Image, then YAML. */}}
{{- define "postern.container" -}}
image: {{ include "postern.image" (dict "root" . "image" .Values.image "tag" .Chart.AppVersion) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- with .Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/postern
    readOnly: true
  {{- if include "postern.hasSecrets" . }}
  - name: secrets
    mountPath: /run/secrets/postern
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "postern.volumes" -}}
- name: config
  configMap:
    name: {{ include "postern.configMapName" . }}
    items:
      - key: {{ ternary .Values.existingConfigMap.key "postern.yaml" (not (empty .Values.existingConfigMap.name)) }}
        path: postern.yaml
{{- if include "postern.hasSecrets" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.secrets.existingSecrets }}
      - secret:
          name: {{ . }}
      {{- end }}
      {{- if .Values.secrets.createSessionKey }}
      - secret:
          name: {{ include "postern.sessionKeySecretName" . }}
      {{- end }}
      {{- if .Values.valkey.enabled }}
      - secret:
          name: {{ include "postern-valkey.passwordSecretName" .Subcharts.valkey }}
          items: [{ key: {{ .Values.valkey.passwordSecret.key | quote }}, path: valkey-password }]
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What pods of Postern have in common, the proxy and `helm test`. */}}
{{- define "postern.podSettings" -}}
serviceAccountName: {{ include "postern.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
