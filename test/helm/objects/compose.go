package main

import (
	"github.com/compose-spec/compose-go/v2/schema"
	"sigs.k8s.io/yaml"
)

// checkCompose holds a Compose file against the schema that Docker Compose itself uses.
func checkCompose(file []byte) []string {
	var document map[string]any
	must(yaml.UnmarshalStrict(file, &document))
	if err := schema.Validate(document); err != nil {
		return []string{err.Error()}
	}
	return []string{}
}
