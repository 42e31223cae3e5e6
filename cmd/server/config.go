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

// readConfig reads a YAML file. It replaces ${NAME} in texts by the value of the environment variable.
func readConfig(file string) (c gateway.Config, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("-config: %w", err)
	}
	if c, err = parseConfig(data); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// parseConfig parses the YAML of a file.
func parseConfig(data []byte) (c gateway.Config, err error) {
	asJSON, err := toJSON(data)
	if err == nil && asJSON != nil {
		c, err = gateway.ParseConfig(asJSON)
	}
	return c, err
}

// toJSON converts a YAML document to JSON, and an empty one to nil.
func toJSON(data []byte) ([]byte, error) {
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF): // the file is empty
		return nil, nil
	case err != nil:
		return nil, hideValues(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("a second document follows")
	}
	config, err := readTree(&document)
	if err != nil || config == nil {
		return nil, err
	}
	convertAgentIDs(config)
	return json.Marshal(config)
}

var digitsPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})$`)

// convertAgentIDs converts each agent_id that is a text of digits, such as one from the environment, to a number.
func convertAgentIDs(config any) {
	root, _ := config.(map[string]any)
	apps, _ := root["apps"].(map[string]any)
	for _, app := range apps {
		a, _ := app.(map[string]any)
		if text, ok := a["agent_id"].(string); ok && digitsPattern.MatchString(text) {
			a["agent_id"] = json.Number(text)
		}
	}
}

// valuePattern matches the parts of the parser's messages that quote the file.
var valuePattern = regexp.MustCompile(`(anchor\b|cannot decode\b|cannot unmarshal\b|invalid map key\b|mapping key "[^":]*:).*`)

// hideValues returns the parser's error without the values in it, since any may be a secret.
func hideValues(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return errors.New(valuePattern.ReplaceAllString(text, "$1 (not shown, it may be a secret); text that begins with * & ! or % needs quotes"))
}
