package paytest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

const transfers = "/v3/fund-app/mch-transfer/transfer-bills"

func transfer(no string, fen int) object {
	return object{
		"appid": appID, "out_bill_no": no, "transfer_scene_id": "1000", "openid": payer, "transfer_amount": fen, "transfer_remark": "thanks",
		"notify_url": hook, "transfer_scene_report_infos": []object{{"info_type": "活动名称", "info_content": "新会员有礼"}},
	}
}

func TestATransferWaitsForItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := newClient(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Balance: 1000})
		c.serial = c.m.PublicKeyID
		first := c.do("POST", transfers, with(transfer("t1", 100), "user_name", c.secret("张三")))
		require.Equal(t, "WAIT_USER_CONFIRM", first.text("state"))
		require.NotEmpty(t, first.text("package_info"))
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00$`, first.text("create_time"))
		again := c.do("POST", transfers, with(transfer("t1", 100), "user_name", c.secret("张三")))
		require.Equal(t, first.fields, again.fields, "the name is encrypted otherwise, and the same")
		r := c.refused(400, "INVALID_REQUEST", "POST", transfers, with(transfer("t1", 101), "user_name", c.secret("张三")))
		require.Equal(t, "单号已存在但信息不一致", r.text("message"))
		require.NoError(t, s.FinishTransfer(mchID, "t1", "TRANSFERING", ""))
		require.NoError(t, s.FinishTransfer(mchID, "t1", "SUCCESS", ""))
		require.Error(t, s.FinishTransfer(mchID, "t1", "FAIL", ""))
		shown := c.do("GET", transfers+"/out-bill-no/t1", nil).fields
		require.Equal(t, shown, c.do("GET", transfers+"/transfer-bill-no/"+first.text("transfer_bill_no"), nil).fields)
		require.Equal(t, mchID, shown["mch_id"])
		require.Equal(t, "SUCCESS", shown["state"])
		synctest.Wait()
		got := in.got(c)
		require.Len(t, got, 1)
		require.Equal(t, "MCHTRANSFER.BILL.FINISHED", got[0].Event)
		require.Equal(t, "mch_payment", got[0].Seal.OriginalType)
		require.Equal(t, shown, got[0].plain)

		c.do("POST", transfers, transfer("t2", 900))
		c.refused(403, "NOT_ENOUGH", "POST", transfers, transfer("t3", 100))
		require.NoError(t, s.FinishTransfer(mchID, "t2", "FAIL", "REALNAME_CHECK_FAIL"))
		require.Equal(t, "REALNAME_CHECK_FAIL", c.do("GET", transfers+"/out-bill-no/t2", nil).text("fail_reason"))
		c.do("POST", transfers, transfer("t3", 100))

		require.Equal(t, "CANCELING", c.do("POST", transfers+"/out-bill-no/t3/cancel", nil).text("state"))
		time.Sleep(2 * time.Second)
		require.Equal(t, "CANCELLED", c.do("POST", transfers+"/out-bill-no/t3/cancel", object{}).text("state"))
		c.refused(400, "INVALID_REQUEST", "POST", transfers+"/out-bill-no/t1/cancel", nil)
		c.refused(404, "NOT_FOUND", "POST", transfers+"/out-bill-no/t9/cancel", nil)
		c.refused(404, "NOT_FOUND", "GET", transfers+"/out-bill-no/t9", nil)

		c.do("POST", transfers, transfer("t4", 900))
		time.Sleep(25 * time.Hour)
		require.Equal(t, "WAIT_USER_CONFIRM", c.do("GET", transfers+"/out-bill-no/t4", nil).text("state"))
		time.Sleep(2 * time.Hour)
		require.Equal(t, "FAIL", c.do("GET", transfers+"/out-bill-no/t4", nil).text("state"))
		balance, err := s.Deposit(mchID, 0)
		require.NoError(t, err)
		require.EqualValues(t, 900, balance)
		time.Sleep(30 * 24 * time.Hour)
		c.refused(404, "NOT_FOUND", "GET", transfers+"/out-bill-no/t4", nil)
	})
}

func TestATransferIsCheckedFieldByField(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, paytest.Merchant{MchID: mchID, AppIDs: []string{appID}, Balance: 1_000_000})
	for name, body := range map[string]object{
		"no appid":       with(transfer("t1", 10), "appid", nil),
		"no number":      with(transfer("t1", 10), "out_bill_no", nil),
		"a dash":         transfer("t-1", 10),
		"no scene":       with(transfer("t1", 10), "transfer_scene_id", nil),
		"no openid":      with(transfer("t1", 10), "openid", nil),
		"9 fen":          transfer("t1", 9),
		"no remark":      with(transfer("t1", 10), "transfer_remark", nil),
		"a long remark":  with(transfer("t1", 10), "transfer_remark", "123456789012345678901234567890123"),
		"no report":      with(transfer("t1", 10), "transfer_scene_report_infos", nil),
		"a query":        with(transfer("t1", 10), "notify_url", hook+"?a"),
		"much, no name":  transfer("t1", 200_000),
		"a name in text": with(transfer("t1", 10), "user_name", "张三"),
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.refused(400, "PARAM_ERROR", "POST", transfers, body)
		})
	}
	c.t = t
	c.refused(400, "APPID_MCHID_NOT_MATCH", "POST", transfers, with(transfer("t1", 10), "appid", "wx9"))
	c.refused(403, "NO_AUTH", "POST", "/v3/transfer/batches", object{})
	require.Error(t, s.FinishTransfer(mchID, "t1", "SUCCESS", ""))

	const provider, sub = "1900000100", "1900000101"
	p := newClient(t, s, paytest.Merchant{MchID: provider, Balance: 10, Subs: []paytest.Sub{{MchID: sub, Balance: 10}}})
	const partner = "/v3/fund-app/mch-transfer/partner/transfer-bills"
	p.refused(400, "PARAM_ERROR", "POST", partner, transfer("t1", 10))
	p.do("POST", partner, with(transfer("t1", 10), "sub_mchid", sub))
	p.refused(403, "NOT_ENOUGH", "POST", partner, with(transfer("t2", 10), "sub_mchid", sub))
	p.refused(404, "NOT_FOUND", "GET", transfers+"/out-bill-no/t1", nil)
	require.Equal(t, sub, p.do("GET", partner+"/out-bill-no/t1?sub_mchid="+sub, nil).text("mch_id"))
	require.Equal(t, "CANCELING", p.do("POST", partner+"/out-bill-no/t1/cancel", object{"sub_mchid": sub}).text("state"))
}
