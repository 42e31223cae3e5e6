package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// isForRobot reports whether m is for a smart robot of WeCom (智能机器人). Such a message has no receive id and no
// FromUserName, and its reply is JSON of another form.
// https://developer.work.weixin.qq.com/document/path/101031
func (m *Message) isForRobot() bool {
	return m.origin.sealed && m.origin.receiveID == "" && m.FromUserName == ""
}

// writeRobotText writes text as a reply of a smart robot: to a message as a finished stream, to an event as a welcome.
func (m *Message) writeRobotText(e *encoder, text string) error {
	if !e.json {
		return robotError("text")
	}
	e.openRoot()
	if m.isEvent() {
		e.writeText("msgtype", "text")
		e.openElement("text")
		e.writeText("content", text)
		e.closeElement("text")
	} else {
		id := sha256.Sum256([]byte(m.Raw)) // equal for a repeat
		e.writeText("msgtype", "stream")
		e.openElement("stream")
		e.writeText("id", hex.EncodeToString(id[:16]))
		e.openTag("finish")
		e.buf = append(e.buf, "true"...)
		e.writeText("content", text)
		e.closeElement("stream")
	}
	e.closeRoot()
	return nil
}

func robotError(msgType string) error {
	return fmt.Errorf("message: reply with %s: a smart robot of WeCom accepts only Text, and Raw with a document of its own, in JSON", msgType)
}
