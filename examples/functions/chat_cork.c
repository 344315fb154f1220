/* Prints:
 *   waits in the queue: nothing
 *   hello
 *   bye
 *   removing connection with sd 3
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServerExt.h>

int main(void)
{
	char hello[] = "hello\n", bye[] = "bye\n", heard[BUFFER_SIZE];
	conn_pool_t pool;
	int pair[2];
	ssize_t count;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1) {
		perror("pool");
		return EXIT_FAILURE;
	}
	chat_cork(&pool);
	if (add_msg(0, hello, sizeof hello - 1, &pool) == -1 ||
	    add_msg(0, bye, sizeof bye - 1, &pool) == -1)
		perror("add_msg");
	printf("waits in the queue: %s\n",
	       pool.conn_head->write_msg_head ? "much" : "nothing");
	if (chat_uncork(&pool) == -1)
		perror("chat_uncork");
	count = read(pair[1], heard, sizeof heard);
	printf("%.*s", (int)count, heard);
	remove_conn(pair[0], &pool);
	return EXIT_SUCCESS;
}
