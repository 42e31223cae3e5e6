package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// robot reports whether m is for a smart robot of WeCom (智能机器人). Its messages end with no id, are from nobody in
// FromUserName, and are answered in a JSON of their own.
// https://developer.work.weixin.qq.com/document/path/101031
func (m *Message) robot() bool {
	return m.origin.sealed && m.origin.receiveID == "" && m.FromUserName == ""
}

// robotText writes text as a smart robot says it: as a stream that is over at once, or in answer to an event as a
// welcome.
func (m *Message) robotText(e *encoder, text string) error {
	if !e.json {
		return robotError("text")
	}
	e.root()
	if m.isEvent() {
		e.text("msgtype", "text")
		e.open("text")
		e.text("content", text)
		e.close("text")
	} else {
		id := sha256.Sum256([]byte(m.Raw)) // the same for a repeat
		e.text("msgtype", "stream")
		e.open("stream")
		e.text("id", hex.EncodeToString(id[:16]))
		e.tag("finish")
		e.buf = append(e.buf, "true"...)
		e.text("content", text)
		e.close("stream")
	}
	e.endRoot()
	return nil
}

func robotError(msgType string) error {
	return fmt.Errorf("message: reply with %s: a smart robot of WeCom takes Text in JSON, or Raw of its own documents", msgType)
}
