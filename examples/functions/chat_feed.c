/* Prints:
 *   queued: 0 bytes
 *   queued: 13 bytes
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServerExt.h>

/* What a program does with a descriptor that is readable. */
static void read_client(int sd, conn_pool_t *pool)
{
	char buffer[BUFFER_SIZE];
	int len = (int)read(sd, buffer, sizeof buffer);

	if (len < 0 || chat_feed(sd, buffer, len, pool) == -1 || len == 0)
		remove_conn(sd, pool);
}

static void print_queued(int sd, conn_pool_t *pool)
{
	chat_conn_info_t info;

	if (chat_get_info(sd, pool, &info) == 0)
		printf("queued: %zu bytes\n", info.queued_bytes);
}

int main(void)
{
	int sender[2], recipient[2];
	conn_pool_t pool;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sender) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, recipient) == -1 ||
	    init_pool(&pool) == -1 || add_conn(sender[0], &pool) == -1 ||
	    add_conn(recipient[0], &pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	dprintf(sender[1], "good ");
	read_client(sender[0], &pool);
	print_queued(recipient[0], &pool);
	dprintf(sender[1], "morning\n");
	read_client(sender[0], &pool);
	print_queued(recipient[0], &pool);
	return EXIT_SUCCESS;
}
