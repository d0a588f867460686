package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/apimachinery/pkg/runtime/schema"
	// Only for the OpenAPI document of Kubernetes that lies in its module.
	_ "k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"
)

type schemas map[schema.GroupVersionKind]*jsonschema.Schema

const (
	intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
	quantity    = "io.k8s.apimachinery.pkg.api.resource.Quantity"
)

func readSchemas(kubernetesPath, crdPath string) schemas {
	found := schemas{}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)

	document := readYAML(kubernetesPath)
	definitions := document["definitions"].(map[string]any)
	// Swagger 2 has no word for a choice of types.
	definitions[intOrString] = map[string]any{"type": []any{"string", "integer"}}
	definitions[quantity] = map[string]any{"type": []any{"string", "number"}}
	must(compiler.AddResource("kubernetes.json", document))
	for name, definition := range definitions {
		kinds, _ := definition.(map[string]any)["x-kubernetes-group-version-kind"].([]any)
		// More than one kind: DeleteOptions and the like, which are no objects of their own.
		if len(kinds) != 1 {
			continue
		}
		compiled, err := compiler.Compile("kubernetes.json#/definitions/" + name)
		must(err)
		kind := kinds[0].(map[string]any)
		found[schema.GroupVersionKind{Group: kind["group"].(string), Version: kind["version"].(string), Kind: kind["kind"].(string)}] = compiled
	}

	spec := readYAML(crdPath)["spec"].(map[string]any)
	for _, entry := range spec["versions"].([]any) {
		version := entry.(map[string]any)
		location := "crd-" + version["name"].(string) + ".json"
		must(compiler.AddResource(location, version["schema"].(map[string]any)["openAPIV3Schema"]))
		compiled, err := compiler.Compile(location)
		must(err)
		kind := spec["names"].(map[string]any)["kind"].(string)
		found[schema.GroupVersionKind{Group: spec["group"].(string), Version: version["name"].(string), Kind: kind}] = compiled
	}
	return found
}

// readYAML reads JSON too. Numbers keep their digits, as the compiler of schemas wants it.
func readYAML(path string) map[string]any {
	text, err := os.ReadFile(path)
	must(err)
	asJSON, err := yaml.YAMLToJSON(text)
	must(err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	must(err)
	return document.(map[string]any)
}

// validate finds nothing to say about a kind whose schema is not published as a file: those of the Prometheus Operator.
func (s schemas) validate(kind schema.GroupVersionKind, asJSON json.RawMessage) error {
	compiled, isKnown := s[kind]
	if !isKnown && !strings.HasSuffix(kind.Group, "monitoring.coreos.com") {
		return &unknownKind{kind}
	}
	if !isKnown {
		return nil
	}
	object, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	must(err)
	return compiled.Validate(object)
}

type unknownKind struct{ kind schema.GroupVersionKind }

func (e *unknownKind) Error() string { return "no schema for " + e.kind.String() }
