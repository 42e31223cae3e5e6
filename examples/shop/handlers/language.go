package handlers

import (
	"cmp"
	"fmt"
	"net/http"

	tags "golang.org/x/text/language"
)

// language is a language of the pages, as in the attribute lang.
type language string

// The texts of the templates are Chinese; englishWords translates them.
const (
	chinese language = "zh-CN"
	english language = "en"
)

var matcher = tags.NewMatcher([]tags.Tag{tags.SimplifiedChinese, tags.English})

const languageCookie = "language"

// languageOf returns the language that the user has chosen, or else that of the browser.
func languageOf(r *http.Request) language {
	var chosen string
	if cookie, err := r.Cookie(languageCookie); err == nil {
		chosen = cookie.Value
	}
	if _, i := tags.MatchStrings(matcher, chosen, r.Header.Get("Accept-Language")); i == 1 {
		return english
	}
	return chinese
}

// switchLanguage remembers the language that a user chooses, and goes back to the page.
func switchLanguage(w http.ResponseWriter, r *http.Request) {
	chosen := chinese
	if r.PostFormValue("language") == string(english) {
		chosen = english
	}
	http.SetCookie(w, &http.Cookie{
		Name: languageCookie, Value: string(chosen), Path: "/", MaxAge: 365 * 24 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, localPath(r.PostFormValue("to")), http.StatusSeeOther)
}

// other returns the language to switch to.
func (l language) other() language {
	if l == chinese {
		return english
	}
	return chinese
}

// Name returns the language's own name.
func (l language) Name() string {
	if l == chinese {
		return "中文"
	}
	return "English"
}

// say returns a text in a language. With arguments the text is a format of package fmt. A text without a translation stays as it is, such
// as the name of a product that was added later.
func (l language) say(text string, args ...any) string {
	words := englishWords
	if l == chinese {
		words = chineseReasons
	}
	text = cmp.Or(words[text], text)
	if len(args) > 0 {
		return fmt.Sprintf(text, args...)
	}
	return text
}
