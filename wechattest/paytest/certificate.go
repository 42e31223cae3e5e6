package paytest

const noCertificate = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。可查看指引 https://pay.weixin.qq.com/doc/v3/merchant/4012153196"

func certificateRoutes() []*route {
	return []*route{at("GET /v3/certificates", (*Server).listCertificates)}
}

func (s *Server) listCertificates(c *call) answer {
	if kind := c.query.Get("algorithm_type"); kind != "" && kind != "RSA" && kind != "ALL" {
		return refuse("PARAM_ERROR", "algorithm_type不支持")
	}
	list := []fields{}
	for _, k := range c.from.listed(c.now) {
		list = append(list, fields{
			"serial_no":           k.id,
			"effective_time":      wireTime(k.listed),
			"expire_time":         wireTime(k.until),
			"encrypt_certificate": seal(c.from.apiV3Key, "certificate", []byte(k.pem)),
		})
	}
	if len(list) == 0 {
		return refuse("RESOURCE_NOT_EXISTS", noCertificate)
	}
	return done(fields{"data": list})
}
