{{/* What can be known to be wrong before anything is installed. values.schema.json has looked at each value alone; these are about several. */}}
{{- define "postern.validate" -}}
{{- $config := .Values.config -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository: say where you pushed Postern's image, such as registry.example.com/postern" -}}
{{- end -}}
{{- if .Values.existingConfigMap.name -}}
{{- if $config.publicUrl -}}
{{- fail "config stands beside existingConfigMap.name: one of them is the configuration; take the other out" -}}
{{- end -}}
{{- $onlyRedis := list "[]" "[\"6379\"]" | has (include "postern.egressPorts" .) -}}
{{- if and .Values.networkPolicy.enabled $onlyRedis (not .Values.networkPolicy.extraEgress) -}}
{{- fail "networkPolicy.enabled with existingConfigMap.name cuts Postern off from the provider and the upstreams, which only config would show: name their ports in networkPolicy.extraEgressPorts, or give networkPolicy.extraEgress" -}}
{{- end -}}
{{- else -}}
{{- if and (include "postern.isReplicated" .) (not (or $config.redis .Values.valkey.enabled)) -}}
{{- fail "more than one pod needs config.redis: without it each pod has sessions of its own, and users are logged out at random. Set config.redis, valkey.enabled to try it out, or replicaCount: 1 without autoscaling" -}}
{{- end -}}
{{- range $key, $address := dict "config.listen" ($config.listen | default "0.0.0.0:8080") "config.operations.listen" (dig "operations" "listen" nil $config | default "127.0.0.1:9090") -}}
{{- if or (hasPrefix "127." $address) (hasPrefix "localhost:" $address) (hasPrefix "[::1]:" $address) -}}
{{- fail (printf "%s: %s is inside the pod only: the kubelet and the Service cannot reach it; write 0.0.0.0:%s" $key $address (include "postern.portOf" $address)) -}}
{{- end -}}
{{- end -}}
{{- $delay := dig "shutdown" "delay" nil $config | default "5s" -}}
{{- $grace := dig "shutdown" "grace" nil $config | default "30s" -}}
{{- $sleep := include "postern.preStopSeconds" . | int -}}
{{- $needed := add (include "postern.seconds" $delay) (include "postern.seconds" $grace) $sleep 25 5 -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds: %d cuts off what is under way; config.shutdown.delay (%s), config.shutdown.grace (%s), 25 seconds for refreshes, a preStop sleep of %d seconds and 5 to spare need %d" (int .Values.terminationGracePeriodSeconds) $delay $grace $sleep (int $needed)) -}}
{{- end -}}
{{- $wanted := regexFindAll "\"/run/secrets/postern/[^\"]+" (toJson $config) -1 -}}
{{- range $file := $wanted | uniq -}}
{{- $key := $file | trimPrefix "\"/run/secrets/postern/" -}}
{{- if not (or $.Values.secrets.existingSecrets (and $.Values.secrets.createSessionKey (eq $key "session-key"))) -}}
{{- fail (printf "config wants the file /run/secrets/postern/%s, and no Secret is mounted there: name one with the key %s in secrets.existingSecrets" $key $key) -}}
{{- end -}}
{{- end -}}
{{- $host := include "postern.publicHost" . -}}
{{- $hosts := list -}}
{{- if .Values.ingress.enabled }}{{ range .Values.ingress.hosts }}{{ $hosts = append $hosts .host }}{{ end }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- range $hosts -}}
{{- if ne . $host -}}
{{- fail (printf "%s is not the host of config.publicUrl (%s): Postern answers requests for any other host with 421" . $host) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.valkey.enabled $config.redis -}}
{{- fail "valkey.enabled gives Postern the address and the password of that Valkey: take config.redis out, or set valkey.enabled: false to use the one that config.redis names" -}}
{{- end -}}
{{- include "postern.validateWorkers" . -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: name the Gateway that the route belongs to" -}}
{{- end -}}
{{- if gt (int .Values.preStop.sleepSeconds) 0 -}}
{{- if .Values.lifecycle.preStop -}}
{{- fail "preStop.sleepSeconds stands beside lifecycle.preStop: a container has one such hook; take one of them out" -}}
{{- end -}}
{{- if semverCompare "<1.30.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "preStop.sleepSeconds: Kubernetes %s has no sleep of its own (1.30 has), and the image no shell to sleep in; leave it at 0: config.shutdown.delay does the same" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- end }}

{{/* Workers share the container's memory: 128 MiB for each is what Node takes (77 at rest) and some room for the heap, 64 what the first process takes (40). */}}
{{- define "postern.validateWorkers" -}}
{{- $workers := .Values.config.workers | default 1 -}}
{{- if eq (toString $workers) "auto" -}}
{{- $workers = 1 -}}
{{- with dig "limits" "cpu" "" .Values.resources | toString -}}
{{- $workers = hasSuffix "m" . | ternary (divf (trimSuffix "m" .) 1000) (float64 .) | ceil -}}
{{- else -}}
{{- fail "config.workers: auto counts every processor of the node as long as resources.limits.cpu is not set: set that, or say how many workers" -}}
{{- end -}}
{{- end -}}
{{- with dig "limits" "memory" "" .Values.resources -}}
{{- $limit := include "postern.mebibytes" (include "postern.quantity" .) -}}
{{- $needed := add 64 (mul 128 (int $workers)) -}}
{{- if and $limit (gt (int $workers) 1) (lt (int $limit) (int $needed)) -}}
{{- fail (printf "resources.limits.memory: %s is too little for %d workers, each of which is a process; give them %dMi at least, or run more pods with one each" (include "postern.quantity" .) (int $workers) $needed) -}}
{{- end -}}
{{- end -}}
{{- end }}
