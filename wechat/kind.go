package wechat

// Kind is the kind of an app. It decides which endpoints, tickets and logins the app has. Fields of this type default
// to Official.
type Kind string

// The kinds of apps. A package that serves some of them only returns an error for the others that names the field.
const (
	Official Kind = "official" // official account (公众号)
	Mini     Kind = "mini"     // mini program (小程序)
	Website  Kind = "website"  // website application of the open platform (网站应用): has logins, but no token
	Work     Kind = "work"     // WeCom (企业微信)

	Platform   Kind = "platform"   // third-party platform (开放平台第三方平台), which acts for accounts that authorize it
	Authorized Kind = "authorized" // official account or mini program that has authorized a third-party platform
)
