package wetoken_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken"
	"github.com/wetoken/wetoken/jssdk"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/pay"
	"github.com/wetoken/wetoken/ticket"
	tokens "github.com/wetoken/wetoken/token"
)

// route matches a pattern that every router supports.
var route = regexp.MustCompile(`^(GET|POST|PUT|DELETE|OPTIONS|PATCH) (/([^/{}]+|\{[a-z]+\}))+/?$`)

func TestEachPartHasRoutesThatEveryRouterKnows(t *testing.T) {
	in, err := message.New(message.Config{AppID: "wx1", Token: "token"})
	require.NoError(t, err)
	signer := &jssdk.Signer{AppID: "wx1"}
	parts := []wetoken.Part{
		&tokens.Handler{}, &ticket.Handler{}, in,
		&oauth.Login{}, &oauth.Mini{}, &oauth.Handler{Source: &oauth.Mini{}}, oauth.VerifyFiles{"MP_verify_abc.txt": "abc"},
		&jssdk.Handler{Signer: signer, Cards: true}, &jssdk.CardHandler{Signer: signer},
		&pay.Handler{}, &pay.Cashier{QR: func(string) ([]byte, error) { return nil, nil }},
	}
	var listed []string
	for _, p := range parts {
		listed = append(listed, strings.TrimPrefix(fmt.Sprintf("%T", p), "*"))
		require.NotEmpty(t, p.Routes(), "%T", p)
		for pattern := range p.Routes() {
			require.Regexp(t, route, pattern, "%T", p)
		}
		wetoken.Bind(http.NewServeMux(), "/wx", p)
	}
	require.ElementsMatch(t, declaredParts(t), listed, "this test must list each part")
}

// declaredParts returns the exported types of the module with a method Routes.
func declaredParts(t *testing.T) (names []string) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Routes" || len(f.Type.Params.List) > 0 {
				continue
			}
			of := f.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			if id, ok := of.(*ast.Ident); ok && id.IsExported() {
				names = append(names, file.Name.Name+"."+id.Name)
			}
		}
		return nil
	})
	require.NoError(t, err)
	return names
}
