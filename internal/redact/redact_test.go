package redact_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	gotoken "go/token"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/gateway"
	"github.com/wetoken/wetoken/internal/redact"
	"github.com/wetoken/wetoken/internal/relay"
	"github.com/wetoken/wetoken/internal/renew"
	"github.com/wetoken/wetoken/message"
	"github.com/wetoken/wetoken/oauth"
	"github.com/wetoken/wetoken/pay/payv2"
	"github.com/wetoken/wetoken/pay/payv3"
	"github.com/wetoken/wetoken/platform"
	"github.com/wetoken/wetoken/store"
	"github.com/wetoken/wetoken/ticket"
	"github.com/wetoken/wetoken/token"
	"github.com/wetoken/wetoken/wechat"
)

const secret = "s3cret-of-this-test"

// aesKey is a valid EncodingAESKey.
const aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

// shown are pointers to structs with secrets, by the names of their types. All of their secrets are set.
var shown = map[string]any{
	"gateway.APIv3":      &apiV3,
	"gateway.APIv2":      &gateway.APIv2{APIKey: secret, PreviousAPIKey: secret, CertPassword: secret, PrivateKey: secret},
	"gateway.App":        &app,
	"gateway.Config":     &gateway.Config{Store: "redis://u:" + secret + "@h/0", Records: "mysql://u:" + secret + "@tcp(h)/d", Keys: []gateway.Key{key}, Apps: map[string]gateway.App{"shop": app}, Merchants: map[string]gateway.Merchant{"m": {V3: &apiV3}}},
	"gateway.Key":        &key,
	"gateway.Message":    &callbacks,
	"message.Config":     &message.Config{Token: secret, EncodingAESKey: secret, PreviousToken: secret, PreviousAESKey: secret},
	"message.Forwarding": &message.Forwarding{SignKeys: []string{secret}},
	"oauth.Grant":        &oauth.Grant{AccessToken: secret, RefreshToken: secret, UserTicket: secret},
	"oauth.Login":        &oauth.Login{Secret: secret, SignKey: secret, PreviousSignKey: secret},
	"oauth.Mini":         &oauth.Mini{Secret: secret},
	"payv2.Config":       &payv2.Config{APIKey: secret, PreviousAPIKey: secret},
	"payv3.Config":       &payv3.Config{APIv3Key: secret, PreviousAPIv3Key: secret},
	"relay.Sender":       &relay.Sender{Key: secret, PreviousKey: secret},
	"renew.Remote":       &renew.Remote{Key: secret},
	"platform.Platform":  &platform.Platform{Secret: secret, NextSecret: secret},
	"platform.Account":   &platform.Account{RefreshToken: secret},
	"ticket.Remote":      &ticket.Remote{Key: secret},
	"token.Manager":      &token.Manager{Secret: secret},
	"token.Remote":       &token.Remote{Key: secret},
	"wechat.Credential":  &wechat.Credential{Value: secret},

	// These contain the structs above, or secrets under other names.
	"gateway.Gateway":            newGateway(),
	"gateway.RegisteredApp":      &gateway.RegisteredApp{Name: "shop", App: app},
	"gateway.RegisteredKey":      &gateway.RegisteredKey{ID: "id", Settings: key},
	"gateway.Pay":                &gateway.Pay{Own: &gateway.Merchant{V3: &apiV3}},
	"gateway.Merchant":           &gateway.Merchant{V3: &apiV3},
	"gateway.Options":            &gateway.Options{Config: gateway.Config{Keys: []gateway.Key{key}, Apps: map[string]gateway.App{"shop": app}}},
	"message.Receiver":           newReceiver(),
	"message.Message":            newMessage(),
	"oauth.Handler":              &oauth.Handler{Source: &oauth.Mini{Secret: secret}},
	"payv2.Merchant":             newMerchantOfAPIv2(),
	"payv3.Merchant":             newMerchant(),
	"renew.Kept":                 &renew.Kept{Credential: wechat.Credential{Value: secret}},
	"store.Sealed":               &store.Sealed{KeyRing: store.KeyRing{[]byte(secret)}},
	"ticket.Handler":             &ticket.Handler{Source: &ticket.Remote{Key: secret}},
	"ticket.Manager":             &ticket.Manager{Tokens: &token.Manager{Secret: secret}},
	"token.Handler":              &token.Handler{Source: &token.Manager{Secret: secret}},
	"wechat.Client":              &wechat.Client{Tokens: &token.Manager{Secret: secret}},
	"wechat.Transport":           &wechat.Transport{Tokens: &token.Manager{Secret: secret}},
	"gateway.RegisteredMerchant": &gateway.RegisteredMerchant{Name: "m", Merchant: gateway.Merchant{V3: &apiV3}},
}

// unshown are structs with fields named like secrets, and the reasons why they may be printed.
var unshown = map[string]string{
	"compat.shownApp":            "it has Mask in place of each secret",
	"compat.tokenRequest":        "it embeds Struct",
	"compat.use":                 "it embeds Struct",
	"gateway.app":                "it prints as the App that it embeds",
	"gateway.merchantKeys":       "it embeds Struct",
	"gateway.SettingError":       "its key is the name of a setting",
	"gateway.storedKey":          "it embeds Struct",
	"message.origin":             "fmt prints its token as an address: see message.Message",
	"message.request":            "its key is a name in the store",
	"outbox.admission":           "its key is a name in the store",
	"once.Work":                  "its key is a name in the store",
	"platform.authorization":     "it is the form of a record, and encoded for Records alone",
	"platform.authorizationInfo": "it is a part of WeChat's answer, and becomes an Account",
	"platform.issued":            "it embeds Struct",
	"payv2.request":              "it embeds Struct",
	"payv2.signing":              "it embeds Struct",
	"payv2.wire":                 "it embeds Struct",
	"renew.snapshot":             "it prints as the Credential that it embeds",
	"wechat.request":             "it embeds Struct",

	"event.KfMsg":    "its token only lets a caller with an access token read more messages at a time, for 10 minutes",
	"outbox.result":  "its key is a name in the store",
	"renew.Keeper":   "its key is a name in the store",
	"sqlstore.binds": "its key is a name in the store",
	"store.Lease":    "its key is a name in the store",
}

var (
	key       = gateway.Key{Name: "backend", Key: secret, Apps: []string{"shop"}, Scopes: []string{"*"}}
	callbacks = gateway.Message{Token: secret, AESKey: aesKey + secret, PreviousToken: secret, PreviousAESKey: secret}
	apiV3     = gateway.APIv3{APIv3Key: secret, PreviousAPIv3Key: secret, CertPassword: secret, PrivateKey: secret, SerialNo: "AB"}
	app       = gateway.App{AppID: "wx1", Secret: secret, SignKey: secret, PreviousSignKey: secret, Message: &callbacks, Keep: true, Tickets: []string{"jsapi"}}
)

func newGateway() *gateway.Gateway {
	a := app
	a.Message = &gateway.Message{Token: secret}
	g, err := gateway.New(gateway.Options{Config: gateway.Config{Keys: []gateway.Key{key}, Apps: map[string]gateway.App{"shop": a}}})
	if err != nil {
		panic(err)
	}
	return g
}

func newMerchant() *payv3.Merchant {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	apiV3Key := secret + strings.Repeat("0", 32-len(secret))
	m, err := payv3.New(payv3.Config{AppID: "wx1", MchID: "1900000001", SerialNo: "ABCDEF", Key: key, APIv3Key: apiV3Key, PreviousAPIv3Key: apiV3Key})
	if err != nil {
		panic(err)
	}
	return m
}

func newMerchantOfAPIv2() *payv2.Merchant {
	apiKey := secret + strings.Repeat("0", 32-len(secret))
	m, err := payv2.New(payv2.Config{AppID: "wx1", MchID: "1900000001", APIKey: apiKey, PreviousAPIKey: apiKey})
	if err != nil {
		panic(err)
	}
	return m
}

func newReceiver() *message.Receiver {
	in, err := message.New(message.Config{AppID: "wx1", Token: secret, EncodingAESKey: aesKey, Forward: message.Forwarding{SignKeys: []string{secret}}})
	if err != nil {
		panic(err)
	}
	return in
}

func newMessage() *message.Message {
	in, err := message.New(message.Config{AppID: "wx1", Token: secret})
	if err != nil {
		panic(err)
	}
	signed := []string{secret, "1700000000", "nonce"}
	signed[1] = fmt.Sprint(time.Now().Unix())
	query := url.Values{"timestamp": {signed[1]}, "nonce": {signed[2]}}
	slices.Sort(signed)
	query.Set("signature", fmt.Sprintf("%x", sha1.Sum([]byte(strings.Join(signed, "")))))
	m, err := in.Open(query, []byte("<xml><MsgType>text</MsgType></xml>"))
	if err != nil {
		panic(err)
	}
	return m
}

func requireHidden(t *testing.T, text, how string) {
	t.Helper()
	for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), fmt.Sprint([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
		require.NotContains(t, strings.ToLower(text), strings.ToLower(form), how)
	}
}

// fill sets each field that is a secret by its name, so that a new field is tested too.
func fill(t *testing.T, value reflect.Value) {
	for i := range value.NumField() {
		f := value.Type().Field(i)
		if !f.IsExported() || !redact.Secret(f.Name) {
			continue
		}
		switch secrets := value.Field(i); secrets.Kind() {
		case reflect.String:
			secrets.SetString(secret)
		case reflect.Slice, reflect.Map:
			require.False(t, secrets.IsZero(), "%s must be set in shown", f.Name)
		}
	}
}

func TestStructsShowNoSecret(t *testing.T) {
	for name, pointer := range shown {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "*"+name, fmt.Sprintf("%T", pointer))
			value := reflect.ValueOf(pointer).Elem()
			fill(t, value)
			list := reflect.Append(reflect.MakeSlice(reflect.SliceOf(value.Type()), 0, 1), value)
			field := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Field", Type: value.Type()}}))
			field.Elem().Field(0).Set(value)
			for how, v := range map[string]any{
				"pointer": pointer, "value": value.Interface(), "list": list.Interface(), "field": field.Elem().Interface(),
				"field of a pointer": field.Interface(), "map": map[string]any{"v": value.Interface()}, "any": []any{pointer},
			} {
				for _, verb := range "vsqxXdtTcUbeEfFgGoO" {
					for _, flags := range []string{"", "+", "#", "# ", "-40.50"} {
						format := "%" + flags + string(verb)
						requireHidden(t, fmt.Sprintf(format, v), how+" "+format)
					}
				}
				requireHidden(t, fmt.Sprint(v), how)
				requireHidden(t, fmt.Errorf("x: %v", v).Error(), how)
				if b, err := json.Marshal(v); err == nil {
					requireHidden(t, string(b), how+" JSON")
				} else {
					requireHidden(t, err.Error(), how+" JSON")
				}
				var log bytes.Buffer
				for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
					slog.New(h).Info("x", "v", v, slog.Group("g", "v", v))
				}
				requireHidden(t, log.String(), how+" slog")
			}
		})
	}
}

func TestEachStructWithASecretIsListed(t *testing.T) {
	found := structsWithSecrets(t)
	for _, name := range found {
		_, isShown := shown[name]
		_, isNot := unshown[name]
		if isShown == isNot {
			t.Errorf("%s holds a secret: list it in shown, or say in unshown why it may be printed", name)
		}
	}
	for name := range unshown {
		require.Contains(t, found, name, "unshown lists a struct that holds no secret")
	}
	for _, name := range []string{"token.Manager", "gateway.Config", "gateway.app"} {
		require.Contains(t, found, name)
	}
}

// structsWithSecrets returns the structs of the module that have a text field named like a secret, and the structs that
// contain such a struct by value. Of a pointer, fmt prints the address.
func structsWithSecrets(t *testing.T) (names []string) {
	held := make(map[string][]string) // types of the fields of each struct
	root := filepath.Join("..", "..")
	require.FileExists(t, filepath.Join(root, "go.mod"))
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, noModule := os.Stat(filepath.Join(path, "go.mod"))
			if d.Name() == "wechattest" || noModule == nil && path != root { // whose secrets are made up; or a separate module
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				name := file.Name.Name + "." + spec.Name.Name
				secret, types := fieldsOf(file.Name.Name, spec.Type)
				held[name] = types
				if secret {
					names = append(names, name)
				}
			}
			return true
		})
		return nil
	}))
	names = append(names, "wechat.Credential") // whose Value is the secret
	for i := 0; i < len(names); i++ {
		for name, types := range held {
			if slices.Contains(types, names[i]) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

var (
	text   = regexp.MustCompile(`^(\*|\[\w*\]|map\[\w+\])*(string|byte|any|json\.RawMessage|KeyRing)$`)
	holder = regexp.MustCompile(`^(?:\[\w*\]|map\[\w+\])*((?:\w+\.)?\w+)$`)
)

// fieldsOf reports whether a struct of a package has a secret text, and returns the types of its fields.
func fieldsOf(pkg string, of ast.Expr) (secret bool, types []string) {
	s, ok := of.(*ast.StructType)
	if !ok {
		return false, nil
	}
	for _, f := range s.Fields.List {
		var b strings.Builder
		_ = printer.Fprint(&b, gotoken.NewFileSet(), f.Type)
		for _, name := range f.Names {
			secret = secret || text.MatchString(b.String()) && redact.Secret(name.Name)
		}
		if m := holder.FindStringSubmatch(b.String()); m != nil {
			if !strings.Contains(m[1], ".") {
				m[1] = pkg + "." + m[1]
			}
			types = append(types, m[1])
		}
	}
	return secret, types
}

func TestNamesOfSecrets(t *testing.T) {
	for _, name := range []string{
		"Secret", "NextSecret", "token", "tokens", "PreviousToken", "AccessToken", "RefreshToken", "Key", "Keys", "key", "PreviousKey", "AESKey",
		"EncodingAESKey", "PreviousAESKey", "SignKey", "SignKeys", "PreviousSignKey", "APIKey", "APIv3Key", "PrivateKey", "Password", "CertPassword", "SessionKey",
	} {
		require.True(t, redact.Secret(name), name)
	}
	for _, name := range []string{"AppID", "Tickets", "TokenMode", "EventKey", "FileKey", "PublicKey", "KeyName", "Monkey", "Kind", ""} {
		require.False(t, redact.Secret(name), name)
	}
}

func TestAConfigurationKeepsItsShape(t *testing.T) {
	c := gateway.Config{PublicURL: "https://wx.example.com", Store: "redis://u:" + secret + "@h/0", Records: "memory:", Keys: []gateway.Key{key}, Apps: map[string]gateway.App{"shop": app}}
	b, err := json.Marshal(c)
	require.NoError(t, err)
	var got gateway.Config
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&got))
	require.Equal(t, "https://wx.example.com", got.PublicURL)
	require.Equal(t, "redis://"+redact.Mask, got.Store)
	require.Equal(t, "memory:", got.Records)
	require.True(t, reflect.DeepEqual(gateway.Key{Name: "backend", Key: redact.Mask, Apps: []string{"shop"}, Scopes: []string{"*"}}, got.Keys[0]))
	require.Equal(t, []string{"jsapi"}, got.Apps["shop"].Tickets)
	require.True(t, redact.Mask == got.Apps["shop"].SignKey)
	require.True(t, redact.Mask == got.Apps["shop"].Message.AESKey)
	require.Contains(t, fmt.Sprintf("%+v", c), "Secret:********")

	// The struct is unchanged.
	require.True(t, app.Secret == secret && callbacks.Token == secret && c.Keys[0].Key == secret)

	require.NoError(t, json.Unmarshal([]byte(`{"apps":{"shop":{"secret":"s","message":{"token":"t"}}},"keys":[{"key":"k"}]}`), &got))
	require.True(t, got.Apps["shop"].Secret == "s" && got.Apps["shop"].Message.Token == "t" && got.Keys[0].Key == "k")
}

func TestADefinedTypeEncodesTheSecrets(t *testing.T) {
	type stored gateway.Key
	b, err := json.Marshal(stored(key))
	require.NoError(t, err)
	require.Contains(t, string(b), secret)
}
