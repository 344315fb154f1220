/* Prints:
 *   queued for the sender: no
 *   the recipient gets 12 bytes:
 *   hello
 *   HELLO
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServer.h>

int main(void)
{
	char hello[] = "hello\n", received[BUFFER_SIZE];
	int sender[2], recipient[2], len;
	conn_pool_t pool;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sender) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, recipient) == -1 ||
	    init_pool(&pool) == -1 || add_conn(sender[0], &pool) == -1 ||
	    add_conn(recipient[0], &pool) == -1 ||
	    add_msg(sender[0], hello, sizeof hello - 1, &pool) == -1 ||
	    addMsg(sender[0], hello, sizeof hello - 1, &pool) == -1) {
		perror("add_msg");
		return EXIT_FAILURE;
	}
	printf("queued for the sender: %s\n",
	       FD_ISSET(sender[0], &pool.write_set) ? "yes" : "no");
	write_msg(recipient[0], &pool);
	len = (int)read(recipient[1], received, sizeof received);
	printf("the recipient gets %d bytes:\n%.*s", len, len, received);
	return EXIT_SUCCESS;
}
