# Oxidized model for hsadc. Not run by hsadc's tests, which have no Ruby; what it relies on (prompt, paging, the two commands
# and their output) is tested with other clients. Put it in ~/.config/oxidized/model/ and use the model name `hsadc`.
class HSADC < Oxidized::Model
  using Refinements

  prompt(/^\r?[\w.-]+~?#\s?$/)
  comment '! '

  cmd :all do |output|
    output.cut_both # the echoed command and the next prompt
  end

  cmd :secret do |output|
    output.gsub(/^(\s*password hashed) \S+/, '\\1 <secret removed>')
  end

  cmd 'show version' do |output|
    comment(output.each_line.reject { |line| line.start_with?('Uptime is ') }.join)
  end

  cmd 'show configuration running' do |output|
    output
  end

  cfg :ssh do
    post_login 'terminal length 0'
    pre_logout 'exit'
  end
end
