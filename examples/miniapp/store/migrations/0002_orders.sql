CREATE TABLE IF NOT EXISTS miniapp_order (
	out_trade_no VARCHAR(32) PRIMARY KEY,
	account_id VARCHAR(32) NOT NULL,
	app_id VARCHAR(64) NOT NULL,
	open_id VARCHAR(128) NOT NULL,
	product_id VARCHAR(64) NOT NULL,
	name VARCHAR(128) NOT NULL,
	fen BIGINT NOT NULL,
	points BIGINT NOT NULL,
	state VARCHAR(16) NOT NULL,
	transaction_id VARCHAR(64),
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	paid_at BIGINT NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE INDEX miniapp_order_account ON miniapp_order (account_id, state);

-- One row for each payment: its primary key makes a payment settle once. odd is why a person must look at it.
CREATE TABLE IF NOT EXISTS miniapp_payment (
	transaction_id VARCHAR(64) PRIMARY KEY,
	out_trade_no VARCHAR(64) NOT NULL,
	fen BIGINT NOT NULL,
	paid_at BIGINT NOT NULL,
	odd VARCHAR(128) NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE TABLE IF NOT EXISTS miniapp_shipment (
	out_trade_no VARCHAR(32) PRIMARY KEY,
	shipping TEXT NOT NULL,
	state VARCHAR(16) NOT NULL,
	tries BIGINT NOT NULL,
	next_at BIGINT NOT NULL,
	error TEXT NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE INDEX miniapp_shipment_due ON miniapp_shipment (state, next_at);
