package paytest

import "net/http"

type wording struct {
	status  int
	message string
}

// wordings has the usual status and message of each code of v3. A path may set another status.
var wordings = map[string]wording{
	"USER_PAYING":             {http.StatusAccepted, "用户支付中，需要输入密码"},
	"USERPAYING":              {http.StatusAccepted, "用户支付中，需要输入密码"},
	"PARAM_ERROR":             {http.StatusBadRequest, "参数错误"},
	"INVALID_REQUEST":         {http.StatusBadRequest, "请求参数符合参数格式，但不符合业务规则"},
	"APPID_MCHID_NOT_MATCH":   {http.StatusBadRequest, "appid和mch_id不匹配，请检查后再试"},
	"MCH_NOT_EXISTS":          {http.StatusBadRequest, "商户号不存在"},
	"ORDER_CLOSED":            {http.StatusBadRequest, "订单已关闭"},
	"ORDERCLOSED":             {http.StatusBadRequest, "订单已关闭"},
	"ORDER_REVERSED":          {http.StatusBadRequest, "订单已撤销"},
	"ORDER_PAID":              {http.StatusBadRequest, "该订单已支付"},
	"ORDERPAID":               {http.StatusBadRequest, "该订单已支付"},
	"AUTH_CODE_INVALID":       {http.StatusBadRequest, "请扫描微信支付授权码(以10/11/12/13/14/15为前缀的18位数字)"},
	"AUTHCODEEXPIRE":          {http.StatusBadRequest, "付款码已过期，请用户刷新后再试"},
	"NO_STATEMENT_EXIST":      {http.StatusBadRequest, "账单文件不存在"},
	"STATEMENT_CREATING":      {http.StatusBadRequest, "账单正在生成，请稍后再试"},
	"TRADE_OVERDUE":           {http.StatusBadRequest, "订单已经超过退款期限"},
	"REFUND_FEE_MISMATCH":     {http.StatusBadRequest, "订单金额或退款金额与之前请求不一致，请核实后再试"},
	"ALREADY_EXISTS":          {http.StatusBadRequest, "单号已存在但信息不一致"},
	"SIGN_ERROR":              {http.StatusUnauthorized, "签名错误"},
	"NO_AUTH":                 {http.StatusForbidden, "商户无权限"},
	"OUT_TRADE_NO_USED":       {http.StatusForbidden, "商户订单号重复"},
	"RULE_LIMIT":              {http.StatusForbidden, "业务规则限制"},
	"RULELIMIT":               {http.StatusForbidden, "业务规则限制"},
	"TRADE_ERROR":             {http.StatusForbidden, "交易错误"},
	"NOT_ENOUGH":              {http.StatusForbidden, "余额不足，请充值后使用原单号重试"},
	"USER_ACCOUNT_ABNORMAL":   {http.StatusForbidden, "用户账户异常"},
	"ACCOUNT_ERROR":           {http.StatusForbidden, "账号异常"},
	"ORDER_NOT_EXIST":         {http.StatusNotFound, "订单不存在"},
	"RESOURCE_NOT_EXISTS":     {http.StatusNotFound, "资源不存在"},
	"NOT_FOUND":               {http.StatusNotFound, "记录不存在"},
	"FREQUENCY_LIMITED":       {http.StatusTooManyRequests, "频率超限，请降低频率后重试"},
	"RATELIMIT_EXCEEDED":      {http.StatusTooManyRequests, "频率超限"},
	"INVALID_REQ_TOO_MUCH":    {http.StatusTooManyRequests, "无效请求过多，请1分钟后再试"},
	"SYSTEM_ERROR":            {http.StatusInternalServerError, "系统繁忙，请稍后重试"},
	"SYSTEMERROR":             {http.StatusInternalServerError, "系统繁忙，请稍后重试"},
	"BANK_ERROR":              {http.StatusInternalServerError, "银行系统异常"},
	"OPENID_MISMATCH":         {http.StatusInternalServerError, "openid和appid不匹配"},
	"INVALID_TRANSACTIONID":   {http.StatusInternalServerError, "无效的微信支付订单号"},
	"SERVICE_UNAVAILABLE":     {http.StatusServiceUnavailable, "服务不可用，请稍后重试"},
	"CONTRACT_NOT_EXIST":      {http.StatusNotFound, "签约不存在"},
	"BIZERR_NEED_RETRY":       {http.StatusInternalServerError, "退款业务流程错误，请使用原参数重试"},
	"BUYER_MISMATCH":          {http.StatusBadRequest, "支付账号错误"},
	"NOT_SUPPORT_CARD":        {http.StatusForbidden, "不支持卡类型"},
	"PROFITSHARING_NOT_MATCH": {http.StatusBadRequest, "分账接收方关系不存在"},
}

// wordingOf returns the status and message of a code. An unknown code has those of INVALID_REQUEST.
func wordingOf(code string) wording {
	if w, ok := wordings[code]; ok {
		return w
	}
	return wordings["INVALID_REQUEST"]
}
