package pay

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/wetoken/wetoken/internal/answer"
)

// serveQR replies with the QR code of an order.
func (c *Cashier) serveQR(w http.ResponseWriter, r *http.Request) {
	o, err := c.openOrder(r.Context(), r.PathValue("id"), Native)
	if err != nil {
		c.answerPublic(w, r, err)
		return
	}
	image, err := c.QR(o.Prepaid.CodeURL)
	if err != nil {
		c.answerPublic(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(image)
}

// serveJS replies with the arguments of wx.requestPayment. Any page with the id may read them.
func (c *Cashier) serveJS(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	o, err := c.openOrder(r.Context(), r.PathValue("id"), JSAPI, APP)
	if err != nil {
		c.answerPublic(w, r, err)
		return
	}
	params, err := c.payParams(o)
	if err != nil {
		c.answerPublic(w, r, err)
		return
	}
	body, _ := json.Marshal(params) // strings always encode
	answer.JSON(w, http.StatusOK, body)
}

// serveH5 replies with a page that opens WeChat. WeChat checks the domain of the page in the Referer header.
func (c *Cashier) serveH5(w http.ResponseWriter, r *http.Request) {
	page := h5Page{texts: textsFor(r)}
	status := http.StatusOK
	o, err := c.openOrder(r.Context(), r.PathValue("id"), H5)
	if err == nil && !isWebURL(o.Prepaid.H5URL) {
		err = errors.New("pay: invalid h5_url: want an http or https URL")
	}
	if err != nil {
		status = statusOf(err)
		c.reportServerError(r, status, err)
		page.Text = page.texts.describe(err)
	} else {
		page.URL, page.Text, page.Fen = o.Prepaid.H5URL, o.Order.Description, yuan(o.Order.Fen)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", h5Policy)
	w.WriteHeader(status)
	_ = h5Template.Execute(w, page)
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

// answerPublic replies to an unauthenticated request with an error, without details.
func (c *Cashier) answerPublic(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	c.reportServerError(r, status, err)
	writeError(w, status, causeOf(err), "", textsFor(r).describe(err), nil)
}

// reportServerError reports err if the status is 500 or higher.
func (c *Cashier) reportServerError(r *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError {
		c.report(r.Context(), err)
	}
}

// pageTexts has the texts of the pages in one language.
type pageTexts struct {
	Lang, Title, Open           string
	paid, closed, unknown, busy string
}

func (t pageTexts) describe(err error) string {
	switch causeOf(err) {
	case ErrPaid:
		return t.paid
	case ErrClosed:
		return t.closed
	case ErrNotFound:
		return t.unknown
	}
	return t.busy
}

var (
	chinese = pageTexts{"zh-CN", "微信支付", "打开微信支付", "订单已支付", "订单已关闭，请重新下单", "没有这个订单", "暂时无法支付，请稍后再试"}
	english = pageTexts{"en", "WeChat Pay", "Open WeChat Pay", "The order is paid", "The order is closed: place a new one", "There is no such order", "Paying is not possible now: try again later"}
)

// textsFor returns the English texts if the browser prefers English, else the Chinese ones.
func textsFor(r *http.Request) pageTexts {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	if strings.HasPrefix(strings.ToLower(strings.TrimSpace(first)), "en") {
		return english
	}
	return chinese
}

type h5Page struct {
	texts          pageTexts
	URL, Text, Fen string
}

func (p h5Page) Words() pageTexts { return p.texts }

// h5Script follows the link. The browser then sends a Referer header.
const h5Script = `var pay=document.getElementById("pay");if(pay)pay.click()`

var (
	h5Policy = func() string {
		sum := sha256.Sum256([]byte(h5Script))
		return "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}()
	h5Template = template.Must(template.New("h5").Parse(`<!DOCTYPE html>
<html lang="{{.Words.Lang}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Words.Title}}</title></head>
<body><p>{{.Text}}{{with .Fen}} ¥{{.}}{{end}}</p>
{{with .URL}}<p><a id="pay" href="{{.}}">{{$.Words.Open}}</a></p>
<script>` + h5Script + `</script>
{{end}}</body></html>
`))
)
