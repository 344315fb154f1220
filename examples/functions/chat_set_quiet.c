/* Prints:
 *   removing connection with sd 3
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <chatServerExt.h>

int main(void)
{
	conn_pool_t pool;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    add_conn(pair[1], &pool) == -1) {
		perror("pool");
		return EXIT_FAILURE;
	}
	remove_conn(pair[0], &pool);
	chat_set_quiet(1);
	remove_conn(pair[1], &pool);
	return EXIT_SUCCESS;
}
