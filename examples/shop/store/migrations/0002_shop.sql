-- What the old program did not store. On MariaDB, which does not undo a failed migration, each statement may run again.

CREATE UNIQUE INDEX IF NOT EXISTS user_username ON user (username);
ALTER TABLE user ADD COLUMN IF NOT EXISTS is_admin TINYINT NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN IF NOT EXISTS created_at BIGINT NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX IF NOT EXISTS payorder_out_trade_no ON payorder (out_trade_no);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS bank_type VARCHAR(32);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS cash_fee BIGINT;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS fee_type VARCHAR(16);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS is_subscribe VARCHAR(1);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS openid VARCHAR(128);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS sign VARCHAR(64);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS time_end VARCHAR(14);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS transaction_id VARCHAR(64);
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS user_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS items TEXT;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS code_url VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS code_expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS expires_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS paid_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS express_company VARCHAR(32) NOT NULL DEFAULT '';
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS tracking_no VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS shipped_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS upload_due BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payorder ADD COLUMN IF NOT EXISTS upload_error VARCHAR(255) NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS payorder_user_id ON payorder (user_id, id);
CREATE INDEX IF NOT EXISTS payorder_expires ON payorder (trade_state, expires_at);
CREATE INDEX IF NOT EXISTS payorder_upload ON payorder (upload_due);

-- One row for each payment that WeChat reported. The primary key makes a payment settle once.
CREATE TABLE IF NOT EXISTS payment (
	transaction_id VARCHAR(64) PRIMARY KEY,
	out_trade_no VARCHAR(64) NOT NULL,
	fen BIGINT NOT NULL,
	paid_at BIGINT NOT NULL,
	problem VARCHAR(255) NOT NULL DEFAULT '',
	details TEXT NOT NULL
) CHARACTER SET utf8mb4;
CREATE INDEX IF NOT EXISTS payment_paid_at ON payment (paid_at);
CREATE INDEX IF NOT EXISTS payment_problem ON payment (problem);

CREATE TABLE IF NOT EXISTS refund (
	out_refund_no VARCHAR(64) PRIMARY KEY,
	out_trade_no VARCHAR(64) NOT NULL,
	transaction_id VARCHAR(64) NOT NULL,
	fen BIGINT NOT NULL,
	reason VARCHAR(255) NOT NULL DEFAULT '',
	state VARCHAR(16) NOT NULL,
	created_at BIGINT NOT NULL
) CHARACTER SET utf8mb4;
CREATE INDEX IF NOT EXISTS refund_transaction_id ON refund (transaction_id);
CREATE INDEX IF NOT EXISTS refund_created_at ON refund (created_at);

CREATE TABLE IF NOT EXISTS product (
	id BIGINT AUTO_INCREMENT PRIMARY KEY,
	name VARCHAR(100) NOT NULL,
	fen BIGINT NOT NULL,
	image VARCHAR(255) NOT NULL DEFAULT '',
	brandId BIGINT NOT NULL,
	categoryId BIGINT NOT NULL
) CHARACTER SET utf8mb4;
