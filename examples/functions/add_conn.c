/* Prints:
 *   1 connection
 *   added twice: File exists
 *   too high: Too many open files
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <chatServer.h>

int main(void)
{
	conn_pool_t pool;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	if (FD_ISSET(pair[0], &pool.read_set))
		printf("%u connection\n", pool.nr_conns);
	if (add_conn(pair[0], &pool) == -1)
		printf("added twice: %s\n", strerror(errno));
	if (add_conn(FD_SETSIZE, &pool) == -1)
		printf("too high: %s\n", strerror(errno));
	return EXIT_SUCCESS;
}
