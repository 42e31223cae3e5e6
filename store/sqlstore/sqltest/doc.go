// Package sqltest holds the tests of sqlstore that need drivers and databases, in a module of its own so that no
// application that uses sqlstore gets the drivers of the others.
//
// SQLite needs nothing. MariaDB or MySQL is looked for where WETOKEN_TEST_MYSQL says, a DSN of go-sql-driver/mysql, and
// PostgreSQL where WETOKEN_TEST_POSTGRES says, a URL. Oracle has been run nowhere: its statements are read by the
// driver, no more.
package sqltest
