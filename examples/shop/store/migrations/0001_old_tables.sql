-- The tables of the old program, in its columns. A database of the old program keeps its rows.

CREATE TABLE IF NOT EXISTS category (
	id BIGINT AUTO_INCREMENT PRIMARY KEY,
	categoryName VARCHAR(50) NOT NULL
) CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS brand (
	id BIGINT AUTO_INCREMENT PRIMARY KEY,
	brandName VARCHAR(50) NOT NULL,
	categoryId BIGINT NOT NULL,
	brandLogo VARCHAR(255) NOT NULL DEFAULT '',
	hot TINYINT NOT NULL DEFAULT 0
) CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS user (
	id BIGINT AUTO_INCREMENT PRIMARY KEY,
	username VARCHAR(50) NOT NULL,
	password VARCHAR(255) NOT NULL,
	mobile VARCHAR(20)
) CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS payorder (
	id BIGINT AUTO_INCREMENT PRIMARY KEY,
	appid VARCHAR(64),
	mch_id VARCHAR(64),
	body VARCHAR(128),
	nonce_str VARCHAR(64),
	notify_url VARCHAR(255),
	out_trade_no VARCHAR(64),
	spbill_create_ip VARCHAR(64),
	total_fee BIGINT,
	trade_type VARCHAR(16),
	trade_state VARCHAR(16)
) CHARACTER SET utf8mb4;
