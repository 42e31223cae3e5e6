package admin

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/wetoken/wetoken/internal/redact"
)

// newServer is what a new configuration has.
type newServer struct {
	envName                   string
	publicURL, store, records string
	app, appID, kind          string
	env                       []variable

	redact.Struct
}

// variable is a variable of the environment.
type variable struct {
	name, value string

	redact.Struct
}

// secret adds a variable, and returns the text that refers to it.
func (n *newServer) secret(name, value string) string {
	for _, v := range n.env {
		if v.name == name {
			return "${" + name + "}"
		}
	}
	n.env = append(n.env, variable{name: name, value: value})
	return "${" + name + "}"
}

// storeURL returns a URL in the configuration. One with a user or parameters, and maybe a password, becomes a variable.
func (n *newServer) storeURL(name, url string) string {
	if strings.Contains(url, "://") { // see envFile
		url = strings.ReplaceAll(url, "'", "%27")
	}
	if strings.ContainsAny(url, "@$?") {
		return n.secret(name, url)
	}
	return url
}

// yaml returns the configuration file.
func (n *newServer) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The configuration of a wetoken server. go doc github.com/wetoken/wetoken/cmd/server lists all settings.
# ${NAME} is replaced by the environment variable; %s has those of this file.

`, n.envName)
	if n.publicURL == "" {
		b.WriteString("# What WeChat and browsers see. Logins and payments need it.\n# public_url: https://wx.example.com\n")
	} else {
		fmt.Fprintf(&b, "# What WeChat and browsers see.\npublic_url: %s\n", quote(n.publicURL))
	}
	fmt.Fprintf(&b, `
# Shared by all servers, and disposable: tokens, leases, what was handled.
store: %s

# What must not be lost: registered apps, merchants and keys, orders, reports.
records: %s

# Programs that may call the private side. Give each its own key, apps and scopes. "*" does not include refund, transfer, pay-api
# and admin.
keys:
  - name: admin
    key: ${ADMIN_KEY}
    apps: ["*"]
    scopes: ["*", admin]
`, quote(n.storeURL("STORE_URL", n.store)), quote(n.storeURL("RECORDS_URL", n.records)))
	if n.appID == "" {
		b.WriteString(`
# Apps can be set here, imported from an older system with server import, or registered with PUT /apps/NAME.
# apps:
#   shop:
#     app_id: wx0123456789abcdef
#     secret: ${APP_SECRET}
`)
	} else {
		fmt.Fprintf(&b, `
# More apps can be set here, imported from an older system with server import, or registered with PUT /apps/NAME.
apps:
  %s:
    app_id: %s
    secret: ${APP_SECRET}
    kind: %s
    # hosts: [shop.example.com]   # pages that may be signed, and where logins may return to; needs public_url
    # message:                    # callbacks, at /app/%s/message
    #   token: ${APP_TOKEN}
    #   aes_key: ${APP_AES_KEY}
`, quote(n.app), quote(n.appID), quote(n.kind), comment(n.app))
	}
	return b.String()
}

// envFile returns the file of the variables, which a shell, systemd and Docker Compose can read.
func (n *newServer) envFile() (string, error) {
	var b strings.Builder
	b.WriteString("# Secrets of a wetoken server. Without WETOKEN_MASTER_KEYS nothing in its stores can be read: keep a copy in a safe place.\n")
	for _, v := range n.env {
		word := shellWord(v.value)
		if strings.Contains(v.value, "'") { // where the others end a text in '
			if strings.ContainsAny(v.value, "\"$`\\\n") {
				return "", fmt.Errorf("%s has a ' and one of \" $ ` \\, which a shell, systemd and Docker Compose read in different ways: write %%27 in a URL", v.name)
			}
			word = `"` + v.value + `"`
		}
		fmt.Fprintf(&b, "%s=%s\n", v.name, word)
	}
	return b.String(), nil
}

// quote returns a text of YAML.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil { // a text has none
		return `""`
	}
	return string(text)
}

// comment returns a text that does not end a comment.
func comment(s string) string { return strings.Join(strings.Fields(s), " ") }

const plainCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-"

// shellWord returns s as one word of a shell.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, plainCharacters) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
