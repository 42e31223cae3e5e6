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

// readConfig reads a YAML file, with ${NAME} in its texts replaced by the environment's value.
func readConfig(file string) (c gateway.Config, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("-config: %w", err)
	}
	asJSON, err := toJSON(data)
	if err == nil && asJSON != nil {
		c, err = gateway.ParseConfig(asJSON)
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// toJSON turns a YAML document into JSON, and an empty one into nil.
func toJSON(data []byte) ([]byte, error) {
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF): // the file is empty
		return nil, nil
	case err != nil:
		return nil, withoutValues(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is a second document")
	}
	config, err := readTree(&document)
	if err != nil || config == nil {
		return nil, err
	}
	numbers(config)
	return json.Marshal(config)
}

var digits = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})$`)

// numbers makes each agent_id a number that is text of digits, as it is when it comes from the environment.
func numbers(config any) {
	root, _ := config.(map[string]any)
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

// withoutValues is the parser's error, less the values in it: any may be a secret.
func withoutValues(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return errors.New(valued.ReplaceAllString(text, "$1 (not shown, it may be a secret); a text that begins with * & ! or % needs quotes"))
}
