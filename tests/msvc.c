/* msvc.c: the start of a program that tests/msvc.sh links without Microsoft's files (x86-64). */

int     main(int argc, char **argv);
void    exit(int code);
int     _crt_atexit(void (*fn)(void));
int     _configure_narrow_argv(int mode);
int    *__p___argc(void);
char ***__p___argv(void);

int _fltused = 1; /* the compiler asks for it where there are doubles */

int atexit(void (*fn)(void)) { return _crt_atexit(fn); }

/* Touches each page of a large frame, whose size is in rax; all registers stay. */
__asm__(".globl __chkstk\n"
        "__chkstk:\n"
        "    pushq %rcx\n"
        "    pushq %rax\n"
        "    leaq 24(%rsp), %rcx\n"
        "1:  cmpq $4096, %rax\n"
        "    jb 2f\n"
        "    subq $4096, %rcx\n"
        "    testq %rcx, (%rcx)\n"
        "    subq $4096, %rax\n"
        "    jmp 1b\n"
        "2:  subq %rax, %rcx\n"
        "    testq %rcx, (%rcx)\n"
        "    popq %rax\n"
        "    popq %rcx\n"
        "    ret\n");

void start(void)
{
    (void)_configure_narrow_argv(1);
    exit(main(*__p___argc(), *__p___argv()));
}
