/* Prints:
 *   0 bytes wait
 *   13 bytes wait
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServerExt.h>

static void read_client(int sd, conn_pool_t *pool)
{
	char buffer[BUFFER_SIZE];
	int len = (int)read(sd, buffer, sizeof buffer);

	if (len >= 0 && chat_feed(sd, buffer, len, pool) == -1)
		perror("chat_feed");
	if (len <= 0)
		remove_conn(sd, pool);
}

static void print_what_waits(int sd, conn_pool_t *pool)
{
	chat_conn_info_t info;

	if (chat_get_info(sd, pool, &info) == 0)
		printf("%zu bytes wait\n", info.queued_bytes);
}

int main(void)
{
	int anna[2], bert[2];
	conn_pool_t pool;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, anna) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, bert) == -1 ||
	    init_pool(&pool) == -1 || add_conn(anna[0], &pool) == -1 ||
	    add_conn(bert[0], &pool) == -1) {
		perror("pool");
		return EXIT_FAILURE;
	}
	dprintf(anna[1], "good ");
	read_client(anna[0], &pool);
	print_what_waits(bert[0], &pool);
	dprintf(anna[1], "morning\n");
	read_client(anna[0], &pool);
	print_what_waits(bert[0], &pool);
	return EXIT_SUCCESS;
}
