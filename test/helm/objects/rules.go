package main

import (
	"log/slog"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

var promQL = parser.NewParser(parser.Options{})

// checkRules does what `promtool check rules` does, with the same parser.
func checkRules(rule *monitoring.PrometheusRule) []string {
	asFile, err := yaml.Marshal(rule.Spec)
	must(err)
	_, errors := rulefmt.Parse(asFile, false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
	problems := []string{}
	for _, err := range errors {
		problems = append(problems, err.Error())
	}
	return problems
}

type selector struct {
	Metric string            `json:"metric"`
	Labels map[string]string `json:"labels"`
}

type expression struct {
	Text      string     `json:"text"`
	Problem   string     `json:"problem,omitempty"`
	Selectors []selector `json:"selectors"`
}

// parseExpressions says which metrics each expression asks for, and with which values of labels.
func parseExpressions(texts []string) []expression {
	expressions := []expression{}
	for _, text := range texts {
		parsed := expression{Text: text, Selectors: []selector{}}
		tree, err := promQL.ParseExpr(text)
		if err != nil {
			parsed.Problem = err.Error()
		} else {
			parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
				if vector, isSelector := node.(*parser.VectorSelector); isSelector {
					parsed.Selectors = append(parsed.Selectors, selector{vector.Name, labelsOf(vector.LabelMatchers)})
				}
				return nil
			})
		}
		expressions = append(expressions, parsed)
	}
	return expressions
}

func labelsOf(matchers []*labels.Matcher) map[string]string {
	found := map[string]string{}
	for _, matcher := range matchers {
		if matcher.Name != labels.MetricName {
			found[matcher.Name] = matcher.Value
		}
	}
	return found
}
