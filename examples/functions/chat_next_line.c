/* Prints:
 *   1: good morning
 *   2: /quit
 *   removing connection with sd 3
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServerExt.h>

/* What a program does with a descriptor that is readable. */
static void read_client(int sd, conn_pool_t *pool)
{
	char buffer[BUFFER_SIZE];
	const char *line;
	int len = (int)read(sd, buffer, sizeof buffer);
	int size, number = 0;

	if (len < 0 || chat_receive(sd, buffer, len, pool) == -1) {
		remove_conn(sd, pool);
		return;
	}
	while ((size = chat_next_line(sd, &line, pool)) > 0) {
		printf("%d: %.*s", ++number, size, line);
		if (size == 6 && memcmp(line, "/quit\n", 6) == 0)
			remove_conn(sd, pool);
	}
	if (len == 0)
		remove_conn(sd, pool);
}

int main(void)
{
	int pair[2];
	conn_pool_t pool;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	send(pair[1], "good mor", 8, 0);
	read_client(pair[0], &pool);
	send(pair[1], "ning\n/quit\nnobody reads this\n", 29, 0);
	read_client(pair[0], &pool);
	return EXIT_SUCCESS;
}
