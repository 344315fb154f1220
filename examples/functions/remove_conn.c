/* Prints:
 *   removing connection with sd 3
 *   removing connection with sd 4
 *   0 connections, maxfd 0
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <chatServer.h>

int main(void)
{
	conn_pool_t pool;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    add_conn(pair[1], &pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	while (pool.conn_head != NULL)
		remove_conn(pool.conn_head->fd, &pool);
	printf("%u connections, maxfd %d\n", pool.nr_conns, pool.maxfd);
	return EXIT_SUCCESS;
}
