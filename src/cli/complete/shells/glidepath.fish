# Completion of glidepath for fish: the program itself says what a word can be.

function __glidepath_complete
    set -l typed (commandline -opc)
    set -l program $typed[1]
    set -e typed[1]
    type -q -- $program; or set program glidepath
    for line in ($program __complete $typed (commandline -ct) 2>/dev/null)
        string match -q -- ':*' $line; or echo -- $line
    end
end

complete -c glidepath -f -k -a '(__glidepath_complete)'
complete -c kubectl-glidepath -f -k -a '(__glidepath_complete)'
