#compdef glidepath kubectl-glidepath
# Completion of glidepath for zsh: the program itself says what a word can be.

_glidepath() {
    local program=${(Q)words[1]} line value about directives=0
    local -a answer candidates options
    (( $+commands[$program] )) || [[ -x $program ]] || program=glidepath
    answer=("${(@f)$($program __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    for line in $answer; do
        if [[ $line == :* ]]; then
            directives=${line#:}
            continue
        fi
        value=${line%%$'\t'*}
        value=${value//:/\\:}
        about=${line#*$'\t'}
        [[ $line == *$'\t'* ]] && value+=":$about"
        candidates+=("$value")
    done
    (( directives & 2 )) && options=(-S '')
    (( $#candidates )) && _describe -V glidepath candidates $options
}

# Read with `source` it registers itself; in a folder of fpath it is the function's own file.
if [[ ${funcstack[1]} == _glidepath ]]; then
    _glidepath "$@"
else
    compdef _glidepath glidepath kubectl-glidepath
fi
