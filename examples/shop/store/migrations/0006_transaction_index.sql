-- Without it a refund reads, and on MariaDB locks, all orders.

CREATE INDEX IF NOT EXISTS payorder_transaction_id ON payorder (transaction_id);
