package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tree converts the nodes of a YAML document to maps, lists and scalars, and replaces ${NAME} in texts by the value of the
// environment variable. It uses time and memory in proportion to the document: the decoder of the yaml package compares
// each key of a mapping with each other one.
type tree struct {
	left int                 // number of nodes that may still be visited
	open map[*yaml.Node]bool // anchors around the current node
}

// maxAliasFactor bounds the number of nodes after aliases are expanded, as a multiple of those in the document.
const maxAliasFactor = 100

// readTree returns the value of a document.
func readTree(document *yaml.Node) (any, error) {
	t := tree{left: maxAliasFactor * countNodes(document), open: make(map[*yaml.Node]bool)}
	return t.value(document, "")
}

func countNodes(n *yaml.Node) int {
	total := 1
	for _, child := range n.Content {
		total += countNodes(child)
	}
	return total
}

// value returns the value of n. path names it in errors.
func (t *tree) value(n *yaml.Node, path string) (any, error) {
	if t.left--; t.left < 0 {
		return nil, errorAt(n, path, "too many aliases")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return t.value(n.Content[0], path)
	case yaml.AliasNode:
		if t.open[n.Alias] {
			return nil, errorAt(n, path, "an anchor contains an alias of itself")
		}
		t.open[n.Alias] = true
		defer delete(t.open, n.Alias)
		return t.value(n.Alias, path)
	case yaml.MappingNode:
		return t.mapping(n, path)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, child := range n.Content {
			v, err := t.value(child, path+"["+strconv.Itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	return scalar(n, path)
}

// mapping returns the keys of n, as they are written, and their values. Merged keys (<<) do not replace the keys of n, nor
// those merged before.
func (t *tree) mapping(n *yaml.Node, path string) (map[string]any, error) {
	all := make(map[string]any, len(n.Content)/2)
	var merged []*yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return nil, errorAt(key, path, "invalid key: want text")
		}
		if key.Tag == "!!merge" {
			merged = append(merged, child)
			continue
		}
		if _, ok := all[key.Value]; ok {
			return nil, errorAt(key, path, "key "+shortKey(key.Value)+" is given twice")
		}
		v, err := t.value(child, joinPath(path, key.Value))
		if err != nil {
			return nil, err
		}
		all[key.Value] = v
	}
	for _, n := range merged {
		if err := t.merge(all, n, path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// merge adds the keys of a mapping, or of each mapping in a list, that are not in all.
func (t *tree) merge(all map[string]any, n *yaml.Node, path string) error {
	v, err := t.value(n, path)
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		m, ok := v.(map[string]any)
		if !ok {
			return errorAt(n, path, "invalid <<: want a mapping, or a list of mappings")
		}
		for name, v := range m {
			if _, ok := all[name]; !ok {
				all[name] = v
			}
		}
	}
	return nil
}

// scalar returns a text, number, boolean, time or nil. A date is a time for expires_at, and otherwise its text.
func scalar(n *yaml.Node, path string) (v any, err error) {
	tag := n.ShortTag()
	if tag == "!!str" || tag == "!!timestamp" && !strings.HasSuffix(path, "expires_at") {
		v, err = expand(n.Value)
		if err != nil {
			return nil, errorAt(n, path, err.Error())
		}
		return v, nil
	}
	if err := n.Decode(&v); err != nil { // its text shows the value
		return nil, errorAt(n, path, "invalid value (not shown, it may be a secret): text that begins with * & ! or % needs quotes")
	}
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, errorAt(n, path, "want a finite number")
	}
	if text, ok := v.(string); ok { // of a tag such as !!binary
		return expand(text)
	}
	return v, nil
}

var variablePattern = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME}. It is called for single texts of a parsed document, so that no value can change the document
// around it.
func expand(text string) (string, error) {
	var err error
	text = variablePattern.ReplaceAllStringFunc(text, func(s string) string {
		value, ok := os.LookupEnv(s[2 : len(s)-1])
		if !ok && err == nil {
			err = fmt.Errorf("%s: the environment variable is not set", s)
		}
		return value
	})
	return text, err
}

// errorAt returns an error about a node.
func errorAt(n *yaml.Node, path, problem string) error {
	if path != "" {
		problem = path + ": " + problem
	}
	return errors.New("line " + strconv.Itoa(n.Line) + ": " + problem)
}

func joinPath(path, key string) string {
	if path == "" {
		return shortKey(key)
	}
	return path + "." + shortKey(key)
}

// shortKey returns a key as errors show it. A value that follows a colon without a blank is part of the key, and may be a
// secret.
func shortKey(key string) string {
	if name, _, ok := strings.Cut(key, ":"); ok {
		key = name + ":…"
	}
	if len(key) > maxKeyShown {
		key = strings.ToValidUTF8(key[:maxKeyShown], "") + "…"
	}
	return key
}

const maxKeyShown = 64 // bytes of a key in an error
