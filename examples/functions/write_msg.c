/* Prints:
 *   hello
 *   left: nothing
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServer.h>

static void write_ready(conn_pool_t *pool)
{
	int sd;

	for (sd = 0; sd <= pool->maxfd; sd++) {
		if (FD_ISSET(sd, &pool->ready_write_set))
			write_msg(sd, pool);
	}
}

int main(void)
{
	char hello[] = "hello\n", heard[BUFFER_SIZE];
	conn_pool_t pool;
	int pair[2];
	ssize_t count;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    add_msg(0, hello, sizeof hello - 1, &pool) == -1) {
		perror("pool");
		return EXIT_FAILURE;
	}
	pool.ready_write_set = pool.write_set;
	pool.nready = select(pool.maxfd + 1, NULL, &pool.ready_write_set,
	                     NULL, NULL);
	write_ready(&pool);
	count = read(pair[1], heard, sizeof heard);
	printf("%.*sleft: %s\n", (int)count, heard,
	       FD_ISSET(pair[0], &pool.write_set) ? "much" : "nothing");
	return EXIT_SUCCESS;
}
