-- The old program's columns that cannot hold what is stored now, and the one that must not be stored.

ALTER TABLE user MODIFY password VARCHAR(255) NOT NULL;
ALTER TABLE user DROP COLUMN IF EXISTS smscode;
