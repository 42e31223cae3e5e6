// Package push plays WeChat's side of a callback: it sends the messages of users and events to an app, and reads the
// reply.
//
// A [Callback] sends them encrypted or not, and again when the app does not answer with status 200 within five seconds,
// three times in all. A try begins five seconds after the one before, however soon that failed. The reply is verified and
// read as strictly as WeChat does it, and the [Result] has the text that the user would see.
//
// The package needs no [wechattest.Server] and shares no code with the rest of this module, so that a mistake on one side
// does not agree with itself on the other.
//
// [wechattest.Server]: https://pkg.go.dev/github.com/wetoken/wetoken/wechattest#Server
package push
