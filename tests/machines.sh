# machines.sh: the other machines, for the scripts that build for them and run by qemu.
MACHINES='i386 armhf aarch64 riscv64 s390x mips powerpc'

machine_of() { # name: sets machine_cc, and machine_run, which runs a program
    triple=$1-linux-gnu qemu=qemu-$1
    case $1 in
    i386) # gcc-12-multilib, not gcc-multilib, which cannot be beside a cross compiler
        machine_cc='gcc-12 -m32 -isystem /usr/include/x86_64-linux-gnu' machine_run=qemu-i386
        return
        ;;
    armhf) triple=arm-linux-gnueabihf qemu=qemu-arm ;;
    powerpc) qemu=qemu-ppc ;;
    esac
    machine_cc=$triple-gcc machine_run="$qemu -L /usr/$triple"
}
