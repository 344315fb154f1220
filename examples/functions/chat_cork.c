/* Prints:
 *   queued before chat_uncork: nothing
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
	char hello[] = "hello\n", bye[] = "bye\n", received[BUFFER_SIZE];
	conn_pool_t pool;
	int pair[2], len;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	chat_cork(&pool);
	if (add_msg(0, hello, sizeof hello - 1, &pool) == -1 ||
	    add_msg(0, bye, sizeof bye - 1, &pool) == -1)
		perror("add_msg");
	printf("queued before chat_uncork: %s\n",
	       pool.conn_head->write_msg_head ? "something" : "nothing");
	if (chat_uncork(&pool) == -1)
		perror("chat_uncork");
	len = (int)read(pair[1], received, sizeof received);
	printf("%.*s", len, received);
	remove_conn(pair[0], &pool);
	return EXIT_SUCCESS;
}
