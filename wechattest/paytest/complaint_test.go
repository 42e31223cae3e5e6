package paytest_test

import (
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wetoken/wetoken/wechattest/paytest"
)

func TestAComplaintIsAnsweredAndCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const path, hooks = "/v3/merchant-service/complaints-v2", "/v3/merchant-service/complaint-notifications"
		in := new(inbox)
		s := newServer(t)
		s.Transport = paytest.InMemory(in)
		c := shop(t, s)
		c.refused(404, "RESOURCE_NOT_EXISTS", "GET", hooks, nil)
		c.refused(400, "PARAM_ERROR", "POST", hooks, object{"url": "x"})
		c.do("POST", hooks, object{"url": hook})
		c.refused(400, "INVALID_REQUEST", "POST", hooks, object{"url": hook})
		c.do("PUT", hooks, object{"url": hook + "2"})
		require.Equal(t, hook+"2", c.do("GET", hooks, nil).text("url"))
		id := c.paid(s, "order-1", 100)
		synctest.Wait()
		complaint, err := s.Complain(mchID, "order-1", "too small", "13800138000")
		require.NoError(t, err)
		_, err = s.Complain(mchID, "order-9", "", "")
		require.Error(t, err)
		synctest.Wait()
		got := in.got(c)
		require.Equal(t, "COMPLAINT.CREATE", got[1].Event)
		require.Equal(t, complaint, got[1].plain["complaint_id"])
		require.Regexp(t, `"create_time":"\d{14}"`, string(got[1].body))

		shown := c.do("GET", path+"/"+complaint, nil).fields
		raw, err := base64.StdEncoding.DecodeString(shown["payer_phone"].(string))
		require.NoError(t, err)
		phone, err := rsa.DecryptOAEP(sha1.New(), nil, c.m.Key, raw, nil)
		require.NoError(t, err)
		require.Equal(t, "13800138000", string(phone))
		require.Equal(t, id, shown["complaint_order_info"].([]any)[0].(object)["transaction_id"])
		today := time.Now().In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
		require.EqualValues(t, 1, c.do("GET", path+"?begin_date="+today+"&end_date="+today+"&limit=5&offset=0", nil).fields["total_count"])
		require.EqualValues(t, 0, c.do("GET", path+"?begin_date=1999-01-01&end_date=1999-01-02", nil).fields["total_count"])
		c.refused(400, "PARAM_ERROR", "GET", path, nil)
		c.refused(400, "PARAM_ERROR", "GET", path+"?begin_date="+today+"&end_date="+today+"&limit=51", nil)

		reply := object{"complainted_mchid": mchID, "response_content": "sorry"}
		c.refused(400, "INVALID_REQUEST", "POST", path+"/"+complaint+"/complete", object{"complainted_mchid": mchID})
		c.refused(400, "PARAM_ERROR", "POST", path+"/"+complaint+"/response", with(reply, "complainted_mchid", nil))
		c.refused(403, "NO_AUTH", "POST", path+"/"+complaint+"/response", with(reply, "complainted_mchid", "1"))
		c.refused(404, "RESOURCE_NOT_EXISTS", "POST", path+"/1/response", reply)
		for range 2 {
			require.Equal(t, 204, c.do("POST", path+"/"+complaint+"/response", reply).status)
		}
		require.Equal(t, []string{"sorry", "sorry"}, s.Complaints(mchID)[0].Replies, "a reply has no number: sent twice it is there twice")
		require.EqualValues(t, 3, c.do("GET", path+"/"+complaint+"/negotiation-historys", nil).fields["total_count"])
		for range 2 {
			require.Equal(t, 204, c.do("POST", path+"/"+complaint+"/complete", object{"complainted_mchid": mchID}).status)
		}
		c.refused(400, "INVALID_REQUEST", "POST", path+"/"+complaint+"/response", reply)
		synctest.Wait()
		require.Equal(t, "COMPLAINT.STATE_CHANGE", in.got(c)[2].Event)
		require.Equal(t, 204, c.do("DELETE", hooks, nil).status)
		c.refused(404, "RESOURCE_NOT_EXISTS", "GET", hooks, nil)
	})
}
