package handlers_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/examples/shop/handlers"
)

// collectTexts adds the Chinese texts of the templates and of the pages' code.
func collectTexts(t *testing.T) map[string]bool {
	texts := make(map[string]bool)
	templates, err := filepath.Glob("templates/*.html")
	require.NoError(t, err)
	require.NotEmpty(t, templates)
	outside := regexp.MustCompile(`\{\{[^}]*\}\}`)
	for _, name := range templates {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Empty(t, regexp.MustCompile(`\p{Han}`).FindString(outside.ReplaceAllString(string(data), "")), "%s: text without a translation", name)
		for _, m := range regexp.MustCompile("\\bt (\"(?:[^\"\\\\]|\\\\.)*\")").FindAllStringSubmatch(string(data), -1) {
			text, err := strconv.Unquote(m[1])
			require.NoError(t, err)
			texts[text] = true
		}
	}
	sources, err := filepath.Glob("page*.go")
	require.NoError(t, err)
	for _, name := range append(sources, "words.go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name != "fieldTexts" && name == "words.go" {
				return false // the translations themselves
			}
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				for _, r := range text {
					if unicode.Is(unicode.Han, r) {
						texts[text] = true
						break
					}
				}
			}
			return true
		})
	}
	return texts
}

func TestEachTextOfThePagesHasATranslation(t *testing.T) {
	texts := collectTexts(t)
	goods, err := os.ReadFile("../store/migrations/0004_goods.sql")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`'(\p{Han}+)'`).FindAllStringSubmatch(string(goods), -1) {
		texts[m[1]] = true
	}
	require.Greater(t, len(texts), 100)
	verbs := regexp.MustCompile(`%[a-z]`)
	for text := range texts {
		translation, ok := handlers.EnglishWords[text]
		require.True(t, ok, "%s has no translation", text)
		require.Equal(t, verbs.FindAllString(text, -1), verbs.FindAllString(translation, -1), text)
		require.NotRegexp(t, `\p{Han}`, translation)
	}
	for text := range handlers.EnglishWords {
		require.True(t, texts[text], "%s is on no page", text)
	}
}
