package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wetoken/wetoken/gateway"
)

// readConfig reads a YAML file, with ${NAME} in its text replaced by the environment's value.
func readConfig(file string) (c gateway.Config, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("-config: %w", err)
	}
	var document yaml.Node
	var tree any
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err = d.Decode(&document); errors.Is(err, io.EOF) { // the file is empty
		return c, nil
	}
	if err == nil {
		textKeys(&document)
		err = document.Decode(&tree)
	}
	if err != nil {
		return c, fmt.Errorf("%s: %s", file, withoutValues(err))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s: there is a second document", file)
	}
	if tree, err = expand(tree); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	numbers(tree)
	asJSON, err := json.Marshal(tree)
	if err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	if c, err = gateway.ParseConfig(asJSON); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// textKeys makes all keys text, as they are written: an app may be named 1001.
func textKeys(n *yaml.Node) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && child.Tag != "!!merge" {
			child.Tag = "!!str"
		}
		textKeys(child)
	}
}

var digits = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})$`)

// numbers makes each agent_id a number that is text of digits, as it is when it comes from the environment.
func numbers(tree any) {
	root, _ := tree.(map[string]any)
	apps, _ := root["apps"].(map[string]any)
	for _, app := range apps {
		a, _ := app.(map[string]any)
		if text, ok := a["agent_id"].(string); ok && digits.MatchString(text) {
			a["agent_id"] = json.Number(text)
		}
	}
}

// valued are the parts of the parser's messages that repeat what stands in the file.
var valued = regexp.MustCompile(`(anchor\b|cannot decode\b|cannot unmarshal\b|invalid map key\b|mapping key "[^":]*:).*`)

// withoutValues is what the parser says, less the values it says it of: any may be a secret.
func withoutValues(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return valued.ReplaceAllString(text, "$1 (not shown, it may be a secret); a text that begins with * & ! or % needs quotes")
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME} in every text of the tree. It is done after YAML was read, so that no value can change the
// document around it.
func expand(node any) (any, error) {
	var err error
	switch n := node.(type) {
	case string:
		return variable.ReplaceAllStringFunc(n, func(s string) string {
			name := variable.FindStringSubmatch(s)[1]
			value, ok := os.LookupEnv(name)
			if !ok && err == nil {
				err = fmt.Errorf("${%s}: there is no such variable in the environment", name)
			}
			return value
		}), err
	case []any:
		for i := range n {
			if n[i], err = expand(n[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range n {
			if n[k], err = expand(n[k]); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
	}
	return node, nil
}
