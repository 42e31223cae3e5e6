-- Ids, openids and unionids differ by letter case, so MariaDB compares bytes. Times are Unix milliseconds.

CREATE TABLE IF NOT EXISTS miniapp_account (
	id VARCHAR(32) PRIMARY KEY,
	user_name VARCHAR(64) NOT NULL UNIQUE,
	phone VARCHAR(32) UNIQUE,
	nickname VARCHAR(128) NOT NULL,
	avatar VARCHAR(512) NOT NULL,
	points BIGINT NOT NULL,
	created_at BIGINT NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE TABLE IF NOT EXISTS miniapp_identity (
	app_id VARCHAR(64) NOT NULL,
	open_id VARCHAR(128) NOT NULL,
	account_id VARCHAR(32) NOT NULL,
	PRIMARY KEY (app_id, open_id)
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE INDEX miniapp_identity_account ON miniapp_identity (account_id);

CREATE TABLE IF NOT EXISTS miniapp_union (
	union_id VARCHAR(128) PRIMARY KEY,
	account_id VARCHAR(32) NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE INDEX miniapp_union_account ON miniapp_union (account_id);

-- hash is the SHA-256 of a token, in hex. No token is stored.
CREATE TABLE IF NOT EXISTS miniapp_token (
	hash VARCHAR(64) PRIMARY KEY,
	account_id VARCHAR(32) NOT NULL,
	app_id VARCHAR(64) NOT NULL,
	open_id VARCHAR(128) NOT NULL,
	expires_at BIGINT NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;

CREATE INDEX miniapp_token_account ON miniapp_token (account_id);

CREATE TABLE IF NOT EXISTS miniapp_picture (
	account_id VARCHAR(32) PRIMARY KEY,
	name VARCHAR(32) NOT NULL UNIQUE,
	type VARCHAR(32) NOT NULL,
	data MEDIUMBLOB NOT NULL
) /*! ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */;
