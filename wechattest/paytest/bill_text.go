package paytest

import (
	"bytes"
	"fmt"
)

func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s%d.%02d", sign, fen/100, fen%100)
}

// writeRow writes values as a bill has them: each behind a back-quote.
func writeRow(b *bytes.Buffer, values ...string) {
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('`')
		b.WriteString(v)
	}
	b.WriteString("\r\n")
}

const billTime = "2006-01-02 15:04:05"

func tradeText(rows []*billRow, kind string) []byte {
	refunds, payments := kind != "SUCCESS" && kind != "SUC_SPECIAL", kind != "REFUND" && kind != "REF_SPECIAL" && kind != "RECHARGE_REFUND"
	var b bytes.Buffer
	b.WriteString("\ufeff交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n")
	var count, total, back int64
	for _, r := range rows {
		if r.refund != nil && !refunds || r.refund == nil && !payments {
			continue
		}
		o := r.order
		mchID, subMchID := o.payee.id, "0"
		if o.provider != nil {
			mchID, subMchID = o.provider.id, o.payee.id
		}
		openID := o.openID
		if openID == "" {
			openID = o.subOpenID
		}
		id, no, fen, refundKind, refundState, paid := "0", "0", int64(0), "", "", o.total
		switch {
		case r.refund != nil:
			id, no, fen, refundKind, refundState, paid = r.refund.refundID, r.refund.outRefundNo, r.refund.fen, "ORIGINAL", r.refund.state, 0
		case r.state == revoked:
			fen, paid = o.total, 0
		}
		writeRow(&b, r.at.In(beijing).Format(billTime), o.appID, mchID, subMchID, o.deviceID, o.transactionID, o.outTradeNo, openID,
			o.trade, r.state, "OTHERS", "CNY", yuan(paid), "0.00", id, no, yuan(fen), "0.00", refundKind, refundState, o.description,
			o.attach, "0.00000", "0.60%", yuan(paid), yuan(fen), "")
		count, total, back = count+1, total+paid, back+fen
	}
	if count == 0 {
		return nil
	}
	b.WriteString("总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n")
	writeRow(&b, fmt.Sprint(count), yuan(total), yuan(back), "0.00", "0.00000", yuan(total), yuan(back))
	return b.Bytes()
}

func flowText(rows []*billRow) []byte {
	if len(rows) == 0 {
		return nil
	}
	var b bytes.Buffer
	b.WriteString("\ufeff记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n")
	var in, out, ins, outs int64
	for i, r := range rows {
		name, way, fen, no := "交易", "收入", r.order.total, r.order.outTradeNo
		if r.refund != nil || r.state == revoked {
			name, way = "退款", "支出"
			if r.refund != nil {
				fen, no = r.refund.fen, r.refund.outRefundNo
			}
			out, outs = out+fen, outs+1
		} else {
			in, ins = in+fen, ins+1
		}
		writeRow(&b, r.at.In(beijing).Format(billTime), r.order.transactionID, fmt.Sprintf("%s%08d", r.order.transactionID, i), name, name, way, yuan(fen), yuan(in-out), "system", "", no)
	}
	b.WriteString("资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n")
	writeRow(&b, fmt.Sprint(ins+outs), fmt.Sprint(ins), yuan(in), fmt.Sprint(outs), yuan(out))
	return b.Bytes()
}
