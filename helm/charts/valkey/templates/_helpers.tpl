{{/* Names begin with postern-: templates of all charts of a release share one space, and another chart in it may be called valkey too. */}}

{{- define "postern-valkey.fullname" -}}
{{ .Values.fullnameOverride | default (printf "%s-%s" (trunc 45 .Release.Name | trimSuffix "-") .Chart.Name) }}
{{- end }}

{{- define "postern-valkey.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postern-valkey.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "postern-valkey.selectorLabels" . }}
app.kubernetes.io/component: store
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "postern-valkey.image" -}}
{{- with .Values.global.imageRegistry | default .Values.image.registry }}{{ . }}/{{ end -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- define "postern-valkey.passwordSecretName" -}}
{{ .Values.passwordSecret.name | default (include "postern-valkey.fullname" .) }}
{{- end }}

{{/* Any answer but an error: while the sessions are read from the disk there is an error. */}}
{{- define "postern-valkey.ping" -}}
exec: { command: [valkey-cli, -e, ping] }
{{- end }}
