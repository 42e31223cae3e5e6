-- The old program's columns were as long as its own values: an IPv6 address, a signature of HMAC-SHA256 or the names of goods may be longer.

ALTER TABLE payorder MODIFY appid VARCHAR(255), MODIFY mch_id VARCHAR(255), MODIFY body VARCHAR(255), MODIFY nonce_str VARCHAR(255),
	MODIFY notify_url VARCHAR(255), MODIFY spbill_create_ip VARCHAR(255), MODIFY bank_type VARCHAR(255), MODIFY fee_type VARCHAR(255),
	MODIFY is_subscribe VARCHAR(255), MODIFY openid VARCHAR(255), MODIFY sign VARCHAR(255), MODIFY time_end VARCHAR(255),
	MODIFY transaction_id VARCHAR(255);
