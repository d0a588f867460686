// objects reads what `helm template` renders on stdin and writes, as JSON, what the API server, Prometheus or
// Docker Compose would refuse:
//
//	objects -kubernetes swagger.json -crd httproutes.yaml < rendered.yaml
//	objects -promql < expressions.json
//	objects -compose < compose.yaml
//
// Every object is decoded strictly into its Go type, which finds unknown fields and wrong types, and checked against the published
// schema, which finds missing fields and values that are not allowed.
package main

import (
	"bufio"
	"bytes"
	encoding "encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamlreader "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

type finding struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Problems []string `json:"problems"`
}

func main() {
	kubernetes := flag.String("kubernetes", "", "the OpenAPI document of Kubernetes")
	crd := flag.String("crd", "", "the definition of HTTPRoute")
	promql := flag.Bool("promql", false, "read a JSON list of PromQL expressions instead")
	compose := flag.Bool("compose", false, "read a Compose file instead")
	flag.Parse()
	input, err := io.ReadAll(os.Stdin)
	must(err)
	var output any
	if *promql {
		var expressions []string
		must(json.UnmarshalCaseSensitivePreserveInts(input, &expressions))
		output = parseExpressions(expressions)
	} else if *compose {
		output = checkCompose(input)
	} else {
		schemas := readSchemas(*kubernetes, *crd)
		output = checkObjects(input, schemas)
	}
	must(encoding.NewEncoder(os.Stdout).Encode(output))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func checkObjects(input []byte, schemas schemas) []finding {
	must(monitoring.AddToScheme(scheme.Scheme))
	must(gateway.Install(scheme.Scheme))
	findings := []finding{}
	documents := yamlreader.NewYAMLReader(bufio.NewReader(bytes.NewReader(input)))
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return findings
		}
		must(err)
		if found, isObject := checkObject(document, schemas); isObject {
			findings = append(findings, found)
		}
	}
}

// checkObject says false for a document that holds nothing but comments.
func checkObject(document []byte, schemas schemas) (finding, bool) {
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return finding{Kind: "YAML", Problems: []string{err.Error()}}, true
	}
	if string(asJSON) == "null" {
		return finding{}, false
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	must(json.UnmarshalCaseSensitivePreserveInts(asJSON, &head))
	found := finding{Kind: head.APIVersion + " " + head.Kind, Name: head.Metadata.Name, Problems: []string{}}
	report := func(err error) {
		if err != nil {
			found.Problems = append(found.Problems, err.Error())
		}
	}
	kind := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	object, err := scheme.Scheme.New(kind)
	if err != nil {
		report(err)
		return found, true
	}
	// Not yaml.UnmarshalStrict: that takes a field whose case is wrong.
	unknown, err := json.UnmarshalStrict(asJSON, object)
	report(errors.Join(append(unknown, err)...))
	report(schemas.validate(kind, asJSON))
	if rule, isRule := object.(*monitoring.PrometheusRule); isRule {
		found.Problems = append(found.Problems, checkRules(rule)...)
	}
	return found, true
}
