// Package event has the fields of WeChat's particular events, as structs for [message.Message.Decode] to fill:
//
//	in.Handle(message.OnEvent("TEMPLATESENDJOBFINISH"), func(ctx context.Context, m *message.Message) (message.Reply, error) {
//		var e event.TemplateSendJobFinish
//		if err := m.Decode(&e); err != nil {
//			return nil, err
//		}
//		return nil, sent(ctx, e.MsgID, e.Status)
//	})
//
// The fields are WeChat's. What every message has (FromUserName, CreateTime …), and what subscribe, unsubscribe, SCAN,
// LOCATION, CLICK and WeCom's enter_agent have, is in message.Message itself. An event that is missing here is decoded
// into a struct of your own just the same.
package event
