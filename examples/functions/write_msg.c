/* Prints:
 *   hello
 *   left: nothing
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServer.h>

/* The second half of a pass, after the reads. */
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
	char hello[] = "hello\n", received[BUFFER_SIZE];
	conn_pool_t pool;
	int pair[2], len;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    add_msg(0, hello, sizeof hello - 1, &pool) == -1) {
		perror("add_msg");
		return EXIT_FAILURE;
	}
	pool.ready_write_set = pool.write_set;
	select(pool.maxfd + 1, NULL, &pool.ready_write_set, NULL, NULL);
	write_ready(&pool);
	len = (int)read(pair[1], received, sizeof received);
	printf("%.*sleft: %s\n", len, received,
	       FD_ISSET(pair[0], &pool.write_set) ? "a part" : "nothing");
	return EXIT_SUCCESS;
}
