# Run once by the image's entry point, in its own shell. Not executable, so that its functions are at hand here.
#
# A primary gets the account that its replica reads with; a replica, named by OSC_SOURCE_HOST being set, is told whom to
# follow. It starts to follow when the server starts for good.

if [ -n "${OSC_SOURCE_HOST:-}" ]; then
	docker_process_sql <<-EOSQL
		SET SESSION sql_log_bin = 0;
		CHANGE REPLICATION SOURCE TO
			SOURCE_HOST = '${OSC_SOURCE_HOST}', SOURCE_PORT = 3306,
			SOURCE_USER = 'osc_replication', SOURCE_PASSWORD = '${OSC_REPLICATION_PASSWORD}',
			SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 2, SOURCE_RETRY_COUNT = 86400;
	EOSQL
else
	docker_process_sql <<-EOSQL
		CREATE USER 'osc_replication'@'%' IDENTIFIED BY '${OSC_REPLICATION_PASSWORD}';
		GRANT REPLICATION SLAVE ON *.* TO 'osc_replication'@'%';
	EOSQL
fi
